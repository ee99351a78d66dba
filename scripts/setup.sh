#!/bin/sh
# Makes a fresh Debian machine ready for `npm start` and `npm test`: host packages, npm packages, native modules.
# Quiet and instant when nothing is to do; safe when several run side by side.
set -eu
cd "$(dirname "$0")/.."

# What the host itself runs; the virtual farm's programs come from a Debian root of their own (qemu/).
PACKAGES="gcc g++ make python3 binutils g++-aarch64-linux-gnu qemu-user-static mmdebstrap zstd xz-utils openssl kmod ca-certificates"

say() { echo "setup: $*"; }
fail() { echo "setup: $1" >&2; [ $# -lt 2 ] || echo "  $2" >&2; exit 1; }

# One stamp for everything that setup depends on.
inputs_hash() {
  cat package-lock.json scripts/setup.sh scripts/build-natives.ts initrd/natives.ts agent/kernel/native/*.[ch] | sha256sum | cut -c1-64
}
stamp=node_modules/.dutboot-setup
is_ready() {
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(inputs_hash)" ] &&
    [ -f agent/kernel/sys.node ] && [ -f node_modules/zstd-napi/build/Release/binding.node ]
}
is_ready && exit 0

# The lock is this file itself: nothing to clean up.
command -v flock >/dev/null || fail "Cannot find flock (util-linux)" "Debian 12 or newer is expected"
exec 9<scripts/setup.sh
flock --nonblock 9 || { say "another setup is at work: waiting for it"; flock 9; }
is_ready && exit 0

missing_packages() {
  for name in $PACKAGES; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
    [ "$state" = installed ] || printf '%s ' "$name"
  done
}

command -v dpkg-query >/dev/null || fail "Cannot find dpkg: this is not Debian" "Debian 12 or newer is expected"
missing=$(missing_packages)
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || fail "Cannot install $missing: not root" "Run: apt-get install $missing"
  export DEBIAN_FRONTEND=noninteractive
  install() { apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install $missing >"$log" 2>&1; }
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  say "installing Debian packages: $missing"
  has_lists() { [ -n "$(apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' 2>/dev/null | head -n 1)" ] &&
    ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; }
  has_lists || apt-get -qq update
  # Lists that are too old name files that are gone: fetch them again, once.
  install || { apt-get -qq update && install; } || { cat "$log" >&2; fail "Cannot install $missing: apt-get failed"; }
else
  say "Debian packages: all there"
fi

lock_hash=$(sha256sum package-lock.json | cut -c1-64)
npm_stamp=node_modules/.dutboot-npm
if [ -f "$npm_stamp" ] && [ "$(cat "$npm_stamp")" = "$lock_hash" ]; then
  say "npm packages: reused"
else
  say "installing npm packages"
  # Not `npm ci`: it refuses a lockfile without the packages of foreign platforms, and not every registry holds those.
  # `npm install` takes the lockfile's very versions, checks its hashes, and with --no-save leaves it as it is.
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error ||
    fail "Cannot install the npm packages: npm install failed"
  echo "$lock_hash" >"$npm_stamp"
fi

node_modules/.bin/node scripts/build-natives.ts
hash=$(inputs_hash)
echo "$hash" >"$stamp"
