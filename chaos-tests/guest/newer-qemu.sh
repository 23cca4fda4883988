#!/bin/bash
# Fetches a QEMU that has vfio-user-pci (10.1 or later; Debian 12 has 7.2) and keeps it beside the system's: OUTDIR/newer-qemu/
# holds it with its own C library, firmware and modules, and OUTDIR/newer-qemu/qemu-system-x86_64 starts it. Nothing is
# installed. The packages are Debian 13's and its backports', from the mirror that this machine's apt uses, checked by apt as
# any other.
#
# usage: newer-qemu.sh OUTDIR
#
# A second run ends at once. prepare.sh runs this; it holds the lock of OUTDIR.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
target=$out/newer-qemu

suite=trixie
# qemu-utils has qemu-img; libblkio drives a vhost-user-blk socket without a guest.
packages=(qemu-system-x86 qemu-utils libblkio1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'newer-qemu: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Everything that decides what comes out; a newer version in the suite is no reason to fetch again.
fingerprint() { sha256sum "$here/newer-qemu.sh" | cut -d' ' -f1; }

# The mirror of this machine's own release, without the suites that live elsewhere, such as security updates.
mirror() {
    local codename
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' \
        | awk -v own="$codename" '$1 == own && $2 == "main" && !seen++ {print $3}'
}

# apt with sources and state of its own. The machine's proxies and credentials still apply.
own_apt() {
    apt-get -q -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::State="$work/state" -o Dir::State::status="$work/state/status" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o APT::Architectures=amd64 "$@" >"$out/newer-qemu.log" 2>&1
}

download() {
    local uri options=arch=amd64
    uri=$(mirror)
    [ -n "$uri" ] || die "this machine's apt names no mirror of its own Debian release"
    [ ! -e "$keyring" ] || options+=" signed-by=$keyring"
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
    # An empty list of installed packages: all that QEMU needs is fetched, down to the C library.
    : >"$work/state/status"
    printf 'deb [%s] %s %s main\n' "$options" "$uri" "$suite" "$options" "$uri" "$suite-backports" >"$work/sources.list"
    own_apt -o APT::Update::Error-Mode=any update || failed "cannot read the package lists of $suite"
    own_apt install -y --download-only --no-install-recommends -t "$suite-backports" "${packages[@]}" \
        || failed "cannot fetch ${packages[*]} from $suite-backports"
}

failed() {
    tail -n 5 "$out/newer-qemu.log" >&2
    die "$* (see $out/newer-qemu.log)"
}

unpack() {
    local deb
    mkdir "$work/tree"
    for deb in "$work"/cache/archives/*.deb; do dpkg -x "$deb" "$work/tree"; done
    # Two thirds are documentation, translations and firmware of other machines.
    rm -rf "$work/tree/usr/share/"{doc,man,locale,info} "$work/tree/usr/lib/x86_64-linux-gnu/gconv"
}

# Its own loader and libraries, since the system's C library is too old, and its own modules and firmware.
write_starter() {
    cat >"$work/tree/qemu-system-x86_64" <<'STARTER'
#!/bin/sh
tree=$(dirname "$(readlink -f "$0")")
export QEMU_MODULE_DIR="$tree/usr/lib/x86_64-linux-gnu/qemu"
exec "$tree/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$tree/usr/lib/x86_64-linux-gnu" \
    "$tree/usr/bin/qemu-system-x86_64" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"
STARTER
    chmod 755 "$work/tree/qemu-system-x86_64"
}

if [ -x "$target/qemu-system-x86_64" ] && [ "$(head -n 1 "$target/stamp" 2>/dev/null)" = "$(fingerprint)" ]; then exit 0; fi

[ "$(uname -m)" = x86_64 ] || die "no vfio-user-pci for $(uname -m): the packages are amd64's"
work=$(mktemp -d "$out/newer-qemu.XXXXXX")
trap 'rm -rf "$work"' EXIT
download
unpack
write_starter
version=$("$work/tree/qemu-system-x86_64" --version) || die "what was unpacked does not start"
version=${version%%$'\n'*}
# Not "-device help": that loads every module, and those that are not in the tree it takes from the system's own QEMU.
"$work/tree/qemu-system-x86_64" -device vfio-user-pci,help >"$work/help" 2>&1 && grep -q socket "$work/help" \
    || die "no vfio-user-pci in $version: $(tail -n 1 "$work/help")"
# The stamp goes last into the new folder, and the folder is renamed whole: a half-made one is never taken for one.
printf '%s\n%s\n' "$(fingerprint)" "$version" >"$work/tree/stamp"
rm -rf "$target"
mv "$work/tree" "$target"
rm -f "$out/newer-qemu.log"
say "$version in $target"
