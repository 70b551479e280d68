# shellcheck shell=sh
# Debian's packages in a folder, and a program of theirs run in it. To be sourced by a program of
# this folder that has set `packages` and defined `make`, which is called with the file to write.
#
#	NAME --inputs	prints each package that goes in, and its digest
#	NAME OUTPUT	makes the initramfs, in the folder it is started in
#
# apt is this machine's own, with its sources and its keys, and a package database of its own that
# is empty. Nothing is installed, and nothing of the machine's is written. Root is not needed if
# user namespaces are to be had.

# A kernel without modules has this release: there is a folder of modules with none in it.
release=0.0.0-none

# Modes are part of an image: the same for everybody.
umask 022

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

resolve() {
	# The machine's own installed packages would be left out.
	: >status
	mkdir -p debs/partial
	# shellcheck disable=SC2086,SC2154 # several words, set by whoever sources this
	apt-get \
		-o Dir::State::status="$PWD/status" \
		-o Dir::State::extended_states="$PWD/extended" \
		-o Dir::Cache::archives="$PWD/debs" \
		-o Dir::Cache::pkgcache= \
		-o Debug::NoLocking=true \
		-o APT::Sandbox::User=root \
		-o APT::Install-Recommends=false \
		-o Acquire::ForceHash=SHA256 \
		-y -qq "$@" install $packages
}

list_inputs() {
	resolve --print-uris >uris || fail "apt knows no $packages (try: apt-get update)"
	# 'URI' FILE SIZE HASH
	cut -d ' ' -f 2,4 uris | LC_ALL=C sort
}

unpack() {
	mkdir -p root/usr/bin root/usr/sbin root/usr/lib root/usr/lib64 root/dev root/proc root/sys
	for folder in bin sbin lib lib64; do
		ln -s "usr/$folder" "root/$folder"
	done
	for deb in debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" >data.tar
		tar -x -p -f data.tar -C root --no-same-owner --keep-directory-symlink
	done
	rm data.tar
}

# What the packages' own scripts would have done, where it matters to what makes an image. It takes
# `?essential` among the packages: programs do not depend on what every Debian has.
configure() {
	choose_namespaces
	cp root/usr/share/base-passwd/passwd.master root/etc/passwd
	cp root/usr/share/base-passwd/group.master root/etc/group
	[ -e root/bin/sh ] || ln -s dash root/bin/sh
	[ -e root/usr/bin/awk ] || ln -s mawk root/usr/bin/awk
	in_root ldconfig
	mkdir -p "root/lib/modules/$release"
	for list in order builtin builtin.modinfo; do
		: >"root/lib/modules/$release/modules.$list"
	done
	in_root depmod "$release"
}

# In namespaces of its own, so that it does not see more of this machine than /dev, /proc and /sys.
in_root() {
	# shellcheck disable=SC2016 # the inner shell's
	$namespaces sh -eu -c '
		mount --rbind /dev root/dev
		mount --rbind /proc root/proc
		mount --rbind /sys root/sys
		exec chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
			SOURCE_DATE_EPOCH=1 "$@"
	' in_root "$@" </dev/null
}

choose_namespaces() {
	for namespaces in "unshare --map-root-user --mount" "unshare --mount"; do
		$namespaces true 2>/dev/null && return
	done
	fail "no mount namespace to be had: allow user namespaces, or run as root"
}

for tool in apt-get dpkg-deb unshare; do
	command -v "$tool" >/dev/null || fail "needs a Debian system's $tool"
done
if [ "$1" = --inputs ]; then
	list_inputs
	exit
fi
resolve --download-only >&2 || fail "apt cannot get $packages (try: apt-get update)"
unpack
make "$1"
