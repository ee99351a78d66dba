#!/bin/sh
# Records what changed in a root since the last call as one image layer: record-layer.sh ROOT FOLDER NAME
# Writes FOLDER/NAME.tar. An entry has changed when its inode or change time has; one that is gone becomes a whiteout
# (OCI image spec, layer.md). Called between the steps of mmdebstrap, so each layer has the files as they were then.
set -eu
export LC_ALL=C
root=$1 folder=$2 name=$3

find "$root" -mindepth 1 \
  \( -path "$root/proc" -o -path "$root/sys" -o -path "$root/dev/*" -o -path "$root/tmp/*" -o -path "$root/run/*" \
  -o -path "$root/etc/apt/*" -o -path "$root/etc/dpkg/dpkg.cfg.d/*" \
  -o -path "$root/var/lib/apt/*" -o -path "$root/var/cache/*" -o -path "$root/var/log/*" \) -prune \
  -o -printf '%P\t%i %C@\n' | sort > "$folder/now"
touch "$folder/before"
rm -rf "$folder/extra"
mkdir "$folder/extra"
if [ ! -s "$folder/before" ]; then
  # The kernel's own file systems are mounted there now; the layer has the empty places.
  mkdir "$folder/extra/proc" "$folder/extra/sys"
fi

cut -f1 "$folder/before" > "$folder/before.paths"
cut -f1 "$folder/now" > "$folder/now.paths"
comm -13 "$folder/before" "$folder/now" | cut -f1 > "$folder/changed.paths"

# Below a directory that is gone nothing needs a whiteout of its own; one too many does no harm, so all get one.
comm -23 "$folder/before.paths" "$folder/now.paths" | while IFS= read -r path; do
  case $path in */*) parent=${path%/*}/ ;; *) parent= ;; esac
  if [ -d "$root/$parent" ]; then
    mkdir -p "$folder/extra/$parent"
    : > "$folder/extra/$parent.wh.${path##*/}"
  fi
done

tar --create --file "$folder/$name.tar" --format=pax --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
  --numeric-owner --xattrs --xattrs-include='*' --clamp-mtime --mtime="@$SOURCE_DATE_EPOCH" \
  --no-recursion --verbatim-files-from --directory "$root" --files-from "$folder/changed.paths"
(cd "$folder/extra" && find . -mindepth 1 \( -type f -o -empty \) -printf '%P\n') | sort > "$folder/extra.paths"
if [ -s "$folder/extra.paths" ]; then
  tar --append --file "$folder/$name.tar" --owner=0 --group=0 --mtime="@$SOURCE_DATE_EPOCH" \
    --no-recursion --verbatim-files-from --directory "$folder/extra" --files-from "$folder/extra.paths"
fi
mv "$folder/now" "$folder/before"
