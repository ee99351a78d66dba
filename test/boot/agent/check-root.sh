#!/bin/sh
# Runs in the container: writes what it sees of its root and its environment to /results/facts, one NAME=VALUE a line.
{
  echo "removed=$(ls -d /removed 2>/dev/null)"
  echo "opaque=$(ls /opaque)"
  echo "motd=$(cat /etc/motd)"
  echo "owned=$(stat -c '%u:%g %a' /owned)"
  echo "links=$(stat -c %h /bin/busybox)"
  echo "console=$(ls /dev/console)"
  echo "artifact=$(ls /opt/install)"
  echo "again=$(ls /install)"
  echo "colour=$COLOUR"
  echo "from_image=$FROM_IMAGE"
  echo "user=$(id -u)"
  echo "resolver=$(grep -c nameserver /etc/resolv.conf)"
  echo "date=$(date +%s)"
  echo new >/new && echo "written=$(cat /new)"
} >/results/facts
mkdir -p "/results/deep er"
head -c 100000 /dev/zero | tr '\0' x >"/results/deep er/ä"
echo "to standard output"
echo "to standard error" >&2
printf 'without a line end'
