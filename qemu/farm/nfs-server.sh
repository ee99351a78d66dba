#!/bin/bash
# Runs nfs-ganesha in the tools root with the portmapper that NFS version 3 wants: nfs-server.sh CONFIG PORTMAPPER
# PORTMAPPER is `shared`, on port 111 of this network, or `own`, in a network of its own where nobody else's can be in
# its way: ganesha finds it by its socket in the file system. Prints the ports, then waits for either to end.
set -eu

config=$1
# ganesha opens files by their handles through the first mount of the file system that it finds: a root that is read
# only would make every export so. These mounts are this script's alone.
mount -o remount,bind,rw /
network=()
if [ "$2" = own ]; then
  touch /run/portmapper-network
  unshare --net=/run/portmapper-network ip link set lo up
  network=(nsenter --net=/run/portmapper-network --)
fi

mkdir -p /run/rpcbind
"${network[@]}" rpcbind -f &
until [ -S /run/rpcbind.sock ]; do
  kill -0 $! || exit 1
  sleep 0.05
done

ganesha.nfsd -F -L STDERR -f "$config" -p /run/ganesha.pid &
find_port() { # PROGRAM
  while read -r program version protocol port _; do
    if [ "$program $version $protocol" = "$1 3 tcp" ]; then echo "$port"; fi
  done <<<"$programs"
}
while
  programs=$("${network[@]}" rpcinfo -p 127.0.0.1)
  nfs_port=$(find_port 100003)
  mount_port=$(find_port 100005)
  [ -z "$nfs_port" ] || [ -z "$mount_port" ]
do
  kill -0 $! || exit 1
  sleep 0.05
done
echo "nfs port $nfs_port, mount port $mount_port"
wait -n
exit 1
