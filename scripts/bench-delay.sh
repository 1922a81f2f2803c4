#!/bin/sh
# From the request for a call to its INVITE, at a steady rate, on SQLite and on a PostgreSQL of its own, with a
# commit on the same disk in the same run. `--json DIR` keeps the figures; what else is given goes to the bench.
set -eu
cd "$(dirname "$0")/.."

keep=""
if [ "${1:-}" = --json ]; then keep="$2"; shift 2; mkdir -p "$keep"; fi
program="${BENCH_PROGRAM:-./target/release/outdial}"
disk=$(mktemp -d -p .)
trap 'rm -rf "$disk"' EXIT
trap 'exit 1' INT TERM
"$program" bench --delay --dir "$disk" ${keep:+--json "$keep/delay-sqlite.json"} "$@"
# shellcheck disable=SC2016
scripts/with-postgres.sh sh -c '
    program=$1; disk=$2; keep=$3; shift 3
    "$program" bench --delay --dir "$disk" --store-url "$BENCH_PG" \
        ${keep:+--json "$keep/delay-postgresql.json"} "$@"
' bench "$program" "$disk" "$keep" "$@"
