#!/bin/sh
# Builds src/pipe/codecs.wasm from scripts/codecs.c, scripts/rows.c and the Debian 12 sources of lz4, bzip2 and xxhash.
#
# The same inputs give the same bytes: compare `sha256sum src/pipe/codecs.wasm` before and after. Nothing is installed
# and no apt configuration is changed; sources come from the machine's own Debian mirror, into a temporary directory.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=$here/../src/pipe/codecs.wasm

packages='clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32'
for package in $packages; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || {
    echo "build-codecs.sh needs these Debian packages: $packages" >&2
    echo "HINT: apt-get install --no-install-recommends $packages" >&2
    exit 1
  }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p lists/partial
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) main' 'Created-By: Packages' |
  sort -u >sources.list
apt_get() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o APT::Sandbox::User=root "$@"
}
apt_get update
apt_get source --download-only lz4=1.9.4-1 bzip2=1.0.8-5 xxhash=0.8.1-1
sha256sum --check --quiet <<'SUMS'
0b0e3aa07c8c063ddf40b082bdf7e37a1562bda40a0ff5272957f3e987e0e54b  lz4_1.9.4.orig.tar.gz
ab5a03176ee106d3f0fa90e381da478ddae405918153cca248e682cd0c4a2269  bzip2_1.0.8.orig.tar.gz
3bb6b7d6f30c591dd65aaaff1c8b7a5b94d81687998ca9400082c739a690436c  xxhash_0.8.1.orig.tar.gz
SUMS
for archive in *.orig.tar.gz; do tar xf "$archive"; done

lz4=lz4-1.9.4/lib
bzip2=bzip2-1.0.8
# Warnings are off for the libraries (-isystem would not cover their .c files) and on for our own file.
compile() {
  clang-14 --target=wasm32-wasi --sysroot=/usr -isystem /usr/include/wasm32-wasi -O3 -msimd128 \
    -mbulk-memory -DNDEBUG -DBZ_NO_STDIO "$@"
}
for source in "$lz4"/lz4.c "$lz4"/lz4hc.c "$lz4"/lz4frame.c "$lz4"/xxhash.c \
  "$bzip2"/blocksort.c "$bzip2"/huffman.c "$bzip2"/crctable.c "$bzip2"/randtable.c \
  "$bzip2"/compress.c "$bzip2"/decompress.c "$bzip2"/bzlib.c; do
  compile -w -c "$source" -o "$(basename "$source" .c).o"
done
compile -Wall -Wextra -Werror -isystem xxHash-0.8.1 -isystem "$lz4" -isystem "$bzip2" \
  -c "$here/codecs.c" -o codecs.o
compile -Wall -Wextra -Werror -c "$here/rows.c" -o rows.o
# 128 MiB: sixteen bzip2 compressors at level 9. A leak must end in an error, not in the machine's memory.
compile -mexec-model=reactor -Wl,--no-entry,--strip-all,-z,stack-size=262144,--max-memory=134217728 \
  -o codecs.wasm ./*.o
install -m 644 codecs.wasm "$target"
sha256sum "$target"
