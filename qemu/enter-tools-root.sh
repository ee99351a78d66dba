#!/bin/sh
# Runs a program of the tools root beside this file: enter [--bind HOST INSIDE]… -- PROGRAM [ARGUMENT…]
# The root is read only; what the host has outside /usr, /etc and /var is seen at the same path. Every step is an exec,
# so the process that is started becomes the program, and the mounts end with it.
set -eu

if [ "${1-}" != --inside ]; then
  exec unshare --mount -- "$0" --inside "$@"
fi
shift

here=$(CDPATH='' cd -- "${0%/*}" && pwd -P)
root=$here/root
mount --bind "$root" "$root"

share() { # HOST INSIDE
  if [ -d "$1" ]; then mkdir -p "$root$2"; fi
  mount --rbind "$1" "$root$2"
}

directory=$PWD
for path in /* /var/tmp "$here" "$directory"; do
  case $path in
    /bin | /sbin | /lib* | /usr | /etc | /var | /boot | /run | /lost+found) continue ;;
    /var/tmp) ;;
    # Only what stands in a place that the root has for itself needs a bind of its own.
    /usr/* | /etc/* | /var/* | /run/*) ;;
    /*/*) continue ;;
  esac
  if [ -d "$path" ] && [ ! -L "$path" ]; then share "$path" "$path"; fi
done
for path in /etc/resolv.conf /etc/hosts /etc/ssl/certs; do
  if [ -e "$path" ]; then share "$path" "$path"; fi
done

mount -t tmpfs -o mode=755 tmpfs "$root/run"
while [ "$1" = --bind ]; do
  share "$2" "$3"
  shift 3
done
if [ "$1" = -- ]; then shift; fi
mount -o remount,bind,ro "$root"

if [ ! -d "$root$directory" ]; then directory=/; fi
PATH=/usr/sbin:/usr/bin
export PATH
exec chroot "$root" /usr/bin/env -C "$directory" -- "$@"
