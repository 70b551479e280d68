# shellcheck shell=sh
# The sandbox where there is no bubblewrap: `unshare` starts this as root of new namespaces.
#
#     sandbox.sh TMP_BYTES [ro|rw PATH PATH_IN_THERE]... -- FOLDER COMMAND...
#
# Lays out a root of nothing but those paths, /proc, a /dev and a /tmp, and runs COMMAND in it with
# no capability and no way to get one.
set -eu

# mount and pivot_root are where a user's PATH does not lead.
path=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin

# Any folder that is always there: what it holds is of no use in here.
new=/sys
mount -t tmpfs -o mode=0755,size=16m none $new
mkdir -p $new/tmp $new/proc $new/dev/shm $new/.old
mount -t tmpfs -o "nosuid,nodev,size=$1" none $new/tmp
mount -t tmpfs -o "nosuid,nodev,size=$1" none $new/dev/shm
mount -t proc -o nosuid,nodev,noexec none $new/proc
shift
for each in null zero full random urandom; do
	: >$new/dev/$each
	mount --bind /dev/$each $new/dev/$each
done
ln -s /proc/self/fd $new/dev/fd

while [ "$1" != -- ]; do
	if [ -d "$2" ]; then
		mkdir -p "$new$3"
	else
		mkdir -p "$new${3%/*}"
		: >"$new$3"
	fi
	mount --rbind "$2" "$new$3"
	[ "$1" = rw ] || mount -o remount,bind,ro "$new$3"
	shift 3
done
shift

cd $new
pivot_root . .old
# root of the machine may write there, with no capability at all.
mount -o remount,bind,ro /proc
umount -l /.old
mount -o remount,bind,ro /
cd "$1"
shift
drop=$(command -v setpriv)
PATH=$path
exec "$drop" --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
