#!/bin/sh
# Builds guest.wasm from its sources, and writes guest.lock.
#
#   build.sh [--check] [DIR]
#
# The compiler for WebAssembly comes from Debian: DIR is a folder that holds a
# Debian with it, made by debootstrap where it is missing (as root; about 3 GB)
# and used again where it is not. Default: target/guest-root. The mirror is the
# one that apt on this machine uses.
#
# The sources go into the chroot under one fixed name and every path is mapped
# away, so the same sources and the same toolchain give the same bytes anywhere.
# With --check nothing is written: the result is compared with what is committed.
#
# Without debootstrap the same is done by rustup's wasm32-wasip1 target, with
# CC, AR and the linker of a wasi-sdk in the variables of `compile` below; the
# bytes then differ, and so does the lock.
set -eu

guest=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
check=no
if [ "${1:-}" = --check ]; then check=yes; shift; fi
root=${1:-$guest/../../target/guest-root}
wasm=target/wasm32-wasip1/release/packets_guest.wasm

# Debian with rustc and clang for wasm32.
make_root() {
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e file: | head -n 1)
  [ -n "$mirror" ] || { echo "build.sh: apt names no Debian mirror" >&2; exit 1; }
  mkdir -p "$root"
  debootstrap --no-check-gpg --variant=minbase \
    --include=rustc,cargo,libstd-rust-dev-wasm32,wasi-libc,clang,lld,llvm,libclang-rt-dev-wasm32,ca-certificates \
    forky "$root" "$mirror" sid
}

# What crates are fetched with: the machine's certificates and name servers.
lend_network() {
  cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
  cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  [ -e "$root/proc/self" ] || { mount -t proc proc "$root/proc"; mounted=yes; }
}

run_inside() {
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CARGO_HOME=/root/.cargo LC_ALL=C \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt "$@"
}

# Runs in the chroot, in the guest's folder.
compile='
set -eu
cd /packets/guest
export CC_wasm32_wasip1=clang AR_wasm32_wasip1=llvm-ar CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld
export CFLAGS_wasm32_wasip1="--target=wasm32-wasi -D_WASI_EMULATED_SIGNAL -ffile-prefix-map=$CARGO_HOME=/cargo"
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clink-arg=-L/usr/lib/wasm32-wasi --remap-path-prefix=$PWD=/guest --remap-path-prefix=$CARGO_HOME=/cargo"
cargo build $1 --release --target wasm32-wasip1
'

# SHA-256 over the lines "SHA-256 of the file, two spaces, its path below
# hook-runtime" of all sources, in the order of the paths' bytes.
sources_hash() {
  (cd "$guest/.." && find guest/Cargo.toml guest/Cargo.lock guest/src wire/src -type f | LC_ALL=C sort | xargs sha256sum |
    sha256sum | cut -d ' ' -f 1)
}

mounted=no
[ -x "$root/usr/bin/cargo" ] || make_root
trap '[ $mounted = no ] || umount "$root/proc"' EXIT
lend_network
rm -rf "$root/packets"
mkdir -p "$root/packets/guest" "$root/packets/wire"
cp -r "$guest/Cargo.toml" "$guest/src" "$root/packets/guest/"
cp -r "$guest/../wire/src" "$root/packets/wire/"
locked=
if [ -f "$guest/Cargo.lock" ]; then cp "$guest/Cargo.lock" "$root/packets/guest/"; locked=--locked; fi
run_inside sh -c "$compile" build "$locked"

if [ $check = yes ]; then
  cmp "$root/packets/guest/$wasm" "$guest/guest.wasm"
  echo "guest.wasm is what its sources give"
  exit 0
fi
cp "$root/packets/guest/Cargo.lock" "$guest/Cargo.lock"
cp "$root/packets/guest/$wasm" "$guest/guest.wasm"
chmod 644 "$guest/Cargo.lock" "$guest/guest.wasm"
{
  echo "# Written by build.sh: guest.wasm, the sources that it was built from, and the toolchain that did it."
  echo "wasm = \"$(sha256sum < "$guest/guest.wasm" | cut -d ' ' -f 1)\""
  echo "sources = \"$(sources_hash)\""
  echo "rustc = \"$(run_inside rustc --version)\""
  echo "clang = \"$(run_inside clang --version | head -n 1)\""
  echo "wasi-libc = \"$(run_inside dpkg-query -W -f '${Version}' wasi-libc)\""
} > "$guest/guest.lock"
