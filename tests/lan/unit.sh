#!/bin/sh
# Begins a systemd of its own with the unit of the server and nothing else, as process 1 of name spaces of its own, on a
# copy of this machine's files that is gone with it. Run by unit.rs, as: unit.sh FOLDER, where FOLDER/bin is the program,
# FOLDER/units the units, FOLDER/etc and FOLDER/cache what it finds. Ends with 77 where the machine allows no mount that
# this needs, and with something else where anything else fails.
set -eu
folder=$1
root=$folder/root
mount() {
    command mount "$@" || exit 77
}
mount --make-rprivate /
mount -t tmpfs none "$folder/top"
mkdir "$folder/top/upper" "$folder/top/work"
mount -t overlay -o "lowerdir=/,upperdir=$folder/top/upper,workdir=$folder/top/work" none "$root"
mount -t proc none "$root/proc"
# What the manager sets for a whole machine is not for it to set here.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro none "$root/sys"
mount -t tmpfs none "$root/sys/fs/cgroup"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs none "$root/tmp"
mount -t tmpfs -o mode=755 none "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/run/old" "$root/run/units"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 none "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for place in etc/packets var/lib/packets var/cache/packets; do
    mkdir -p "$root/$place"
    mount -t tmpfs -o mode=755 none "$root/$place"
done
cp "$folder"/units/* "$root/run/units/"
cp "$folder"/etc/* "$root/etc/packets/"
cp "$folder"/cache/* "$root/var/cache/packets/"
cp "$folder/bin" "$root/usr/bin/packets"
chmod 755 "$root/usr/bin/packets"
cd "$root"
# A root that is only changed may have no name spaces of users, which the unit asks for.
pivot_root . run/old || exit 77
umount -l /run/old
export container=packets SYSTEMD_UNIT_PATH=/run/units
exec /lib/systemd/systemd --system --unit=start.target --show-status=0 --log-target=null
