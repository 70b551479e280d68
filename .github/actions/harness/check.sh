#!/bin/sh
# What the action runs: `cache` says what it may take from the cache, `check` checks the series.
# All that it is told is in the environment: SERIES or FROM and TO, BASE, TREE, ARGUMENTS, OUT.
set -eu

fail() {
	# GitHub reads commands on stderr too, and stdout may be somebody's answer.
	printf '::error title=harness::%s\n' "$*" >&2
	exit 2
}

# The series that is asked for, else the commits of the pull request.
series() {
	if [ -n "${SERIES:-}" ]; then
		printf '%s' "$SERIES"
	elif [ -n "${FROM:-}" ] && [ -n "${TO:-}" ]; then
		printf '%s..%s' "$FROM" "$TO"
	else
		fail "no series: give the input series, or run on a pull request"
	fi
}

base() {
	printf '%s' "${BASE:-${FROM:-}}"
}

# A key for the base and the configuration, and what of an older base is still of use.
cache() {
	config=$(printf '%s' "${ARGUMENTS:-}" | sha256sum | cut -c1-16)
	{
		printf 'key=%s-%s\n' "$config" "$(base | sha256sum | cut -c1-16)"
		printf 'restore=%s-\n' "$config"
	} >>"$GITHUB_OUTPUT"
}

check() {
	what=$(series)
	mkdir -p "$OUT"
	# Words, as a shell splits them; no file names are made of them.
	set -f
	# shellcheck disable=SC2086
	set -- ${ARGUMENTS:-}
	set +f
	if [ -n "${BASE:-}" ]; then
		set -- --base "$BASE" "$@"
	fi
	if [ -n "${TREE:-}" ]; then
		set -- --tree "$TREE" "$@"
	fi
	code=0
	harness check "$what" --out "$OUT" --report annotations=- "$@" || code=$?
	folder=$OUT/gates/latest
	if [ -e "$folder/check.json" ]; then
		folder=$(readlink -f "$folder")
		cat "$folder/summary.md" >>"$GITHUB_STEP_SUMMARY"
		printf 'folder=%s\n' "$folder" >>"$GITHUB_OUTPUT"
	fi
	printf 'exit-code=%s\n' "$code" >>"$GITHUB_OUTPUT"
	return "$code"
}

case ${1:-} in
cache | check) "$1" ;;
*) fail "check.sh cache|check" ;;
esac
