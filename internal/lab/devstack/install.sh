#!/bin/sh
# Installs Debian packages without letting them start system services:
#   install.sh PACKAGE...
# Used by scripts/setup and, embedded, by the demo. Needs root.
set -eu

# Package scripts ask policy-rc.d before they start a service; 101 says no. One
# that stands there already is kept aside and put back, also after a failure.
policy=/usr/sbin/policy-rc.d
kept=$policy.payonce-kept
sign='# payonce: temporary'

restore() {
	if [ -e "$kept" ] || [ -L "$kept" ]; then
		mv -f "$kept" "$policy"
	elif grep -qsF "$sign" "$policy"; then
		rm -f "$policy"
	fi
}
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

restore # what an earlier run that was killed left behind
if [ -e "$policy" ] || [ -L "$policy" ]; then
	mv "$policy" "$kept"
fi
printf '#!/bin/sh\n%s\nexit 101\n' "$sign" >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
install() {
	apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
# A machine's package lists may be missing or old: try, refresh, try again.
install "$@" || {
	apt-get update -q
	install "$@"
}
