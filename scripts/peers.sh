#!/bin/bash
# Real software to test against, from Debian's newer and older suites, unpacked into a cache and patched to run there.
#
#   peers.sh get NAME        fetch a preset once; print its folder
#   peers.sh version NAME    print the Debian version of the preset's main package
#   peers.sh list            what the cache holds
#
# Presets: pgbackrest (sid) pgbackrest-trixie pgbackrest-bookworm pg15 pg17 pg18 tools
#
# Nothing is installed and no apt source is added: only the cache changes. Works as root or not; needs apt, dpkg-deb,
# tar and flock. The cache is $PGSURETY_PEER_CACHE, else /var/cache/pg-peers when writable, else in $HOME/.cache. It
# cannot be moved (the patched files hold absolute paths) and must be readable by the user PostgreSQL runs as.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

readonly INDEX_AGE_MAX_S=86400
# Part of every tree's stamp: raise it when trees must be built again.
readonly TREE_FORMAT=v3

die() {
  echo "peers.sh: $*" >&2
  exit 1
}

choose_cache() {
  local shared=/var/cache/pg-peers
  if [ -n "${PGSURETY_PEER_CACHE:-}" ]; then
    echo "$PGSURETY_PEER_CACHE"
  elif mkdir -p "$shared" 2>/dev/null && [ -w "$shared" ]; then
    echo "$shared"
  else
    echo "${HOME:?}/.cache/pgsurety-peers"
  fi
}

# The mirror this machine already uses.
choose_mirror() {
  local files
  files=$(ls /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true)
  [ -z "$files" ] && return
  # shellcheck disable=SC2086 # one word per file
  sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' $files | grep -v security | head -1
}

cache=$(choose_cache)
mirror=${PGSURETY_PEER_MIRROR:-$(choose_mirror)}
readonly cache mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
arch=$(dpkg --print-architecture)
case $arch in
  amd64) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  *) die "no recipe for architecture '$arch'" ;;
esac

# Suite and packages of a preset; the first package gives the version.
preset() {
  case $1 in
    pgbackrest) echo sid pgbackrest ;;
    pgbackrest-trixie) echo trixie pgbackrest ;;
    pgbackrest-bookworm) echo bookworm pgbackrest ;;
    pg15) echo bookworm postgresql-15 ;;
    pg17) echo trixie postgresql-17 ;;
    pg18) echo sid postgresql-18 ;;
    tools) echo bookworm patchelf ;;
    *) die "unknown preset '$1'" ;;
  esac
}

# apt with a private root: own lists, own (empty) status file, so that dependencies are complete, libc included.
private_apt() {
  local suite=$1 archives=$2 root=$cache/.apt/$1
  shift 2
  apt-get -qq \
    -o Dir::State::lists="$root/lists" -o Dir::State::status="$root/status" \
    -o Dir::State::extended_states="$root/ext" -o Dir::Cache="$root" -o Dir::Cache::archives="$archives" \
    -o Dir::Etc::sourcelist="$root/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 -o Acquire::Languages=none \
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Debug::NoLocking=true "$@"
}

refresh_index() {
  local suite=$1 root=$cache/.apt/$1 age=$((INDEX_AGE_MAX_S + 1))
  [ -n "$mirror" ] || die "no Debian mirror in /etc/apt: set PGSURETY_PEER_MIRROR"
  mkdir -p "$root/lists/partial" "$root/archives/partial"
  : >>"$root/status"
  exec 8>"$cache/.lock.apt-$suite"
  flock 8
  [ -f "$root/.updated" ] && age=$(($(date +%s) - $(stat -c %Y "$root/.updated")))
  if [ "$age" -ge "$INDEX_AGE_MAX_S" ]; then
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$root/sources.list"
    [ "$suite" != bookworm ] ||
      echo "deb [signed-by=$keyring] ${mirror%/}-security $suite-security main" >>"$root/sources.list"
    # Background children of apt must not keep the locks.
    private_apt "$suite" "$root/archives" update >&2 8>&- 9>&-
    touch "$root/.updated"
  fi
  exec 8>&-
}

download() {
  local suite=$1 archives=$2
  shift 2
  refresh_index "$suite"
  private_apt "$suite" "$archives" -y --download-only install "$@" >/dev/null 9>&- && return
  # The mirror moved on and dropped the files this index names.
  rm -f "$cache/.apt/$suite/.updated"
  refresh_index "$suite"
  private_apt "$suite" "$archives" -y --download-only install "$@" >/dev/null 9>&-
}

is_elf() {
  [ -f "$1" ] && [ ! -L "$1" ] && [ "$(head -c4 "$1" | od -An -tx1)" = " 7f 45 4c 46" ]
}

# Gives programs the tree's own loader and an rpath. DT_RPATH, not RUNPATH: libraries inherit it. A library with a
# RUNPATH of its own switches it off, and is pointed at the tree too. LD_LIBRARY_PATH would leak into child shells.
relink() {
  local tree=$1 final=$2 lib=usr/lib/$triplet patchelf loader rpath file old
  patchelf=$("$0" get tools)/usr/bin/patchelf
  loader=$(cd "$tree" && find "$lib" -maxdepth 1 -name 'ld-linux-*.so.?' | head -1)
  [ -n "$loader" ] || die "no loader in '$tree'"
  rpath=$final/$lib
  [ ! -d "$tree/$lib/systemd" ] || rpath=$rpath:$final/$lib/systemd
  for file in "$tree"/usr/bin/* "$tree"/usr/sbin/* "$tree"/usr/lib/postgresql/*/bin/*; do
    is_elf "$file" && "$patchelf" --print-interpreter "$file" >/dev/null 2>&1 || continue
    "$patchelf" --set-interpreter "$final/$loader" --force-rpath --set-rpath "$rpath" "$file"
  done
  { find "$tree/usr/lib" -type f -name '*.so*' -size +4k -print0 | xargs -0 grep -lsF /usr/lib || true; } |
    while read -r file; do
      is_elf "$file" && old=$("$patchelf" --print-rpath "$file" 2>/dev/null) || continue
      case $old in
        '' | '$ORIGIN'*) ;;
        *) "$patchelf" --force-rpath --set-rpath "$rpath" "$file" ;;
      esac
    done
}

unpack() {
  local archives=$1 tree=$2 deb folder unwanted=()
  for folder in doc man locale info lintian; do unwanted+=("--exclude=./usr/share/$folder/*"); done
  mkdir -p "$tree"/usr/{bin,sbin,lib,lib64}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$tree/$folder"; done
  for deb in "$archives"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar -C "$tree" -x --keep-directory-symlink --no-same-owner "${unwanted[@]}"
    dpkg-deb --show --showformat='${Package} ${Version}\n' "$deb" >>"$tree/.versions"
  done
}

get() {
  local name=$1 suite packages stamp tree=$cache/$1 archives
  read -r suite packages <<<"$(preset "$name")"
  [ -n "$suite" ] || exit 1
  stamp="$suite $arch $packages $TREE_FORMAT"
  mkdir -p "$cache"
  chmod 755 "$cache"
  exec 9>"$cache/.lock.$name"
  flock 9
  if [ "$(cat "$tree/.ok" 2>/dev/null)" != "$stamp" ]; then
    archives=$cache/.apt/$suite/archives.$name
    rm -rf "$archives" "$tree.tmp" "$tree"
    mkdir -p "$archives/partial"
    # shellcheck disable=SC2086 # one word per package
    download "$suite" "$archives" $packages
    unpack "$archives" "$tree.tmp"
    [ "$name" = tools ] || relink "$tree.tmp" "$tree"
    chmod -R go+rX "$tree.tmp"
    echo "$stamp" >"$tree.tmp/.ok"
    mv "$tree.tmp" "$tree"
    rm -rf "$archives"
  fi
  echo "$tree"
}

version() {
  local package
  read -r _ package _ <<<"$(preset "$1")"
  sed -n "s/^$package //p" "$cache/$1/.versions"
}

list() {
  local stamp
  for stamp in "$cache"/*/.ok; do
    [ -f "$stamp" ] || continue
    printf '%-22s %5sM  %s\n' "$(basename "${stamp%/.ok}")" "$(du -sm "${stamp%/.ok}" | cut -f1)" "$(cat "$stamp")"
  done
}

case ${1:-} in
  get | version) "$1" "${2:?a preset}" ;;
  list) list ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
