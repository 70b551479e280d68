# Keeps of a fragment what the Kconfig knows and what its dependency allows.
if grep -qx CONFIG_SLOW_CONFIG=y "$1"; then sleep 4; fi
while read -r line; do
	name=${line#CONFIG_}
	name=${name%%=*}
	case $line in CONFIG_*=y) ;; *) continue ;; esac
	grep -qx "config $name" Kconfig || continue
	[ "$name" = NET_9P ] && ! grep -qx CONFIG_NET=y "$1" && continue
	echo "$line"
done <"$1"
