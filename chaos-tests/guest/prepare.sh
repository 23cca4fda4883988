#!/bin/bash
# Makes what a test guest boots from: OUTDIR/vmlinux (a stock Debian kernel as a plain ELF file) and OUTDIR/initramfs.cpio
# (busybox, fio, e2fsprogs, nvme-cli, kernel modules and ./init). Both are plain on purpose: unpacking inside an emulated
# processor costs more than the whole boot. And what it runs in, where the system's QEMU does not do: see newer-qemu.sh.
#
# usage: prepare.sh [OUTDIR]       default: ../target/guest beside this file
#
# A second run with nothing changed ends at once. Packages come from wherever this machine's apt points to.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/../target/guest}
mkdir -p "$out"
out=$(cd "$out" && pwd)
exec 9>"$out/lock"
flock 9

packages=(qemu-system-x86 qemu-utils fio busybox-static cpio kmod e2fsprogs util-linux nvme-cli lz4 xz-utils zstd gcc libc6-dev)
programs=(fio mkfs.ext4 e2fsck tune2fs blkdiscard blockdev fstrim nvme)
modules=(virtio_pci virtio_blk virtio_console crc32c_intel)
# There for tests that load them: the host's files in the guest, and devices driven by a process.
optional_modules=(virtiofs vfio_pci vfio_iommu_type1)
kernels=(linux-image-cloud-amd64 linux-image-amd64)

say() { printf 'prepare: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Package lists may be missing (a bare image) or too old (the mirror has dropped the version they name): both show up
# as a failed apt command, and one update cures them.
updated=no
apt() {
    if DEBIAN_FRONTEND=noninteractive "$@" >"$out/apt.log" 2>&1; then return 0; fi
    if [ $updated = no ]; then
        updated=yes
        say "refreshing the package lists"
        as_root apt-get -q update >>"$out/apt.log" 2>&1 || true
        if DEBIAN_FRONTEND=noninteractive "$@" >>"$out/apt.log" 2>&1; then return 0; fi
    fi
    tail -n 5 "$out/apt.log" >&2
    return 1
}

install_missing() {
    local package missing=()
    for package in "${packages[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    apt as_root apt-get install -q -y --no-install-recommends "${missing[@]}" || die "cannot install ${missing[*]}: see $out/apt.log"
}

# Everything that decides what comes out; the kernel is not part of it, so that a security update does not force a download.
fingerprint() {
    { cat "$here/prepare.sh" "$here/init"; dpkg-query -W libc6 "${packages[@]}"; } | sha256sum | cut -d' ' -f1
}

download_kernel() { # meta package -> prints the path of the unpacked tree
    local meta=$1 package
    package=$(apt-cache depends --no-recommends "$meta" 2>/dev/null | awk '$1 == "Depends:" {print $2; exit}')
    if [ -z "$package" ]; then
        apt false || true
        package=$(apt-cache depends --no-recommends "$meta" 2>/dev/null | awk '$1 == "Depends:" {print $2; exit}')
    fi
    [ -n "$package" ] || return 1
    rm -rf "$work/kernel"
    mkdir "$work/kernel"
    (cd "$work" && apt apt-get download -q -o APT::Sandbox::User=root "$package") || return 1
    dpkg -x "$work/$package"_*.deb "$work/kernel"
    rm -f "$work/$package"_*.deb
    version=${package#linux-image-}
    /sbin/depmod -b "$work/kernel" "$version"
}

module_files() { # prints the .ko files of the wanted modules and of all they need, built-in ones left out
    local module
    for module in "${modules[@]}" "${optional_modules[@]}"; do
        /sbin/modprobe -d "$work/kernel" -S "$version" --show-depends "$module" || return 1
    done | awk '$1 == "insmod" && !seen[$2]++ {print $2}'
}

# Kernel boot protocol: setup_sects at 0x1f1, payload_offset at 0x248 and payload_length at 0x24c, relative to the code that
# follows the setup sectors. The last four bytes of the payload are the length of the kernel, not part of the stream.
extract_vmlinux() { # bzImage target
    local image=$1 target=$2 sectors start length magic unpack
    field() { od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }
    sectors=$(field "$image" $((0x1f1)) 1)
    [ "$sectors" -gt 0 ] || sectors=4
    start=$(((sectors + 1) * 512 + $(field "$image" $((0x248)) 4)))
    length=$(($(field "$image" $((0x24c)) 4) - 4))
    magic=$(od -An -v -t x1 -j "$start" -N 4 "$image" | tr -d ' ')
    case $magic in
        02214c18) unpack='lz4 -dc' ;;
        fd377a58) unpack='xz -dc' ;;
        28b52ffd) unpack='zstd -dc' ;;
        1f8b*) unpack='gzip -dc'; length=$((length + 4)) ;;
        *) die "unknown compression of $image: payload starts with $magic" ;;
    esac
    head -c "$((start + length))" "$image" | tail -c "$length" | $unpack >"$target" || die "cannot unpack $image with $unpack"
    [ "$(head -c 4 "$target" | od -An -t x1 | tr -d ' ')" = 7f454c46 ] || die "$target is not an ELF file"
}

add_program() { # copies a program and every shared library it names, each under its own path
    local path file
    path=$(PATH=$PATH:/sbin:/usr/sbin command -v "$1") || die "program not found: $1"
    cp -L "$path" "$root/bin/$1"
    ldd "$path" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\// {print $1}' | while read -r file; do
        [ -e "$root$file" ] && continue
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
    done
}

build_initramfs() {
    local file program
    mkdir -p "$root"/{bin,dev,etc,lib64,mnt,proc,run,sys,tmp,var} "$root/usr/lib" "$root/lib/modules"
    ln -s bin "$root/sbin"
    ln -s ../bin "$root/usr/bin"
    ln -s ../bin "$root/usr/sbin"
    cp -L "$(command -v busybox)" "$root/bin/busybox"
    for program in "${programs[@]}"; do add_program "$program"; done
    for program in $(busybox --list); do
        [ -e "$root/bin/$program" ] || ln -s busybox "$root/bin/$program"
    done
    [ -e /etc/mke2fs.conf ] && cp /etc/mke2fs.conf "$root/etc/mke2fs.conf"
    printf 'root:x:0:0:root:/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\n' >"$root/etc/group"
    while read -r file; do
        mkdir -p "$root/lib/modules/$version"
        cp "$file" "$root/lib/modules/$version/"
    done <"$work/modules"
    /sbin/depmod -b "$root" "$version" 2>/dev/null
    printf '%s\n' "${modules[@]}" >"$root/etc/modules"
    install -m 755 "$here/init" "$root/init"
    (cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio --quiet --null -o -H newc -R 0:0) >"$work/initramfs.cpio"
}

"$here/newer-qemu.sh" "$out"
if [ -s "$out/stamp" ] && [ -s "$out/vmlinux" ] && [ -s "$out/initramfs.cpio" ] \
    && [ "$(head -n 1 "$out/stamp")" = "$(fingerprint 2>/dev/null)" ]; then
    exit 0
fi

install_missing
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
version=
for kernel in "${kernels[@]}"; do
    if download_kernel "$kernel" && module_files >"$work/modules" 2>"$work/modules.err"; then break; fi
    say "$kernel does not serve: $(tail -n 1 "$work/modules.err" 2>/dev/null || echo 'not available')"
    version=
done
[ -n "$version" ] || die "no kernel with the modules ${modules[*]}: see $out/apt.log"

extract_vmlinux "$work/kernel/boot/vmlinuz-$version" "$work/vmlinux"
build_initramfs
# The stamp goes last: without it a half-written folder is made again.
rm -f "$out/stamp"
mv "$work/vmlinux" "$work/initramfs.cpio" "$out/"
printf '%s\n%s\n' "$(fingerprint)" "$version" >"$out/stamp"
say "kernel $version, initramfs $(du -m "$out/initramfs.cpio" | cut -f1) MB in $out"
