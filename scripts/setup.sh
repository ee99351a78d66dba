#!/bin/sh
# Prepares a Debian machine for `npm start` and `npm test`: installs Debian and npm packages, compiles native modules.
# Silent and instant if nothing is to do. Several may run at the same time.
set -eu
cd "$(dirname "$0")/.."

# Programs that run on the host. The virtual farm's programs come from a separate Debian root (qemu/).
# CI has these and no others (.ci/run).
PACKAGES="gcc g++ make python3 binutils g++-aarch64-linux-gnu qemu-user-static mmdebstrap zstd xz-utils openssl kmod ca-certificates libarchive-tools busybox-static"

say() { echo "setup: $*"; }
fail() { echo "setup: $1" >&2; [ $# -lt 2 ] || echo "  $2" >&2; exit 1; }

# The stamp covers everything that setup depends on.
inputs_hash() {
  cat package-lock.json scripts/setup.sh scripts/build-natives.ts initrd/natives.ts agent/kernel/native/*.[ch] | sha256sum | cut -c1-64
}
stamp=node_modules/.dutboot-setup
is_ready() {
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(inputs_hash)" ] &&
    [ -f agent/kernel/sys.node ] && [ -f node_modules/zstd-napi/build/Release/binding.node ]
}
is_ready && exit 0

# Lock this script itself, so that no lock file remains.
command -v flock >/dev/null || fail "Cannot find flock (util-linux)" "Debian 12 or newer is expected"
exec 9<scripts/setup.sh
flock --nonblock 9 || { say "waiting for another setup to finish"; flock 9; }
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
  # Old lists may name files that no longer exist: fetch them again, once.
  install || { apt-get -qq update && install; } || { cat "$log" >&2; fail "Cannot install $missing: apt-get failed"; }
else
  say "Debian packages: all installed"
fi

lock_hash=$(sha256sum package-lock.json | cut -c1-64)
npm_stamp=node_modules/.dutboot-npm
if [ -f "$npm_stamp" ] && [ "$(cat "$npm_stamp")" = "$lock_hash" ]; then
  say "npm packages: reused"
else
  say "installing npm packages"
  # Not `npm ci`: it rejects a lockfile without the packages of other platforms, and not every registry has those.
  # `npm install` installs the versions of the lockfile and checks its hashes; --no-save keeps the lockfile unchanged.
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error ||
    fail "Cannot install the npm packages: npm install failed"
  echo "$lock_hash" >"$npm_stamp"
fi

node_modules/.bin/node scripts/build-natives.ts
hash=$(inputs_hash)
echo "$hash" >"$stamp"
