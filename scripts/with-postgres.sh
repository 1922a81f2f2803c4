#!/bin/sh
# Runs a command with a PostgreSQL of its own, on the disk of the sources: `BENCH_PG` is its URL,
# `BENCH_SOCKET` the directory of its socket. It ends with the command.
set -eu
cd "$(dirname "$0")/.."

for program in initdb postgres psql; do
    command -v $program >/dev/null 2>&1 || PATH="$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)"
    command -v $program >/dev/null 2>&1 || { echo "no PostgreSQL: make setup" >&2; exit 1; }
done
export PATH

# Beside the sources, not where temporary files may be in memory: commits must reach a disk.
home=$(mktemp -d -p .)
home=$(cd "$home" && pwd)
socket=$(mktemp -d)
server=""
finish() {
    [ -n "$server" ] && kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null || true
    rm -rf "$home" "$socket"
}
trap finish EXIT
trap 'exit 1' INT TERM
chmod 755 "$home" "$socket"
as=""
if [ "$(id -u)" -eq 0 ]; then
    chown nobody "$home" "$socket"
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups"
fi
from=$(pwd)
cd /
$as initdb -U outdial -A trust --locale=C -E UTF8 -D "$home/data" >/dev/null
$as postgres -D "$home/data" -k "$socket" -c listen_addresses= -c shared_buffers=256MB \
    -c max_wal_size=4GB -c autovacuum_naptime=5s -c log_min_messages=fatal >/dev/null 2>&1 &
server=$!
cd "$from"
until psql -h "$socket" -U outdial -d postgres -c 'SELECT 1' >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || { echo "PostgreSQL did not start" >&2; exit 1; }
    sleep 0.1
done
BENCH_SOCKET="$socket"
BENCH_PG="postgres://outdial@$(printf %s "$socket" | sed 's,/,%2F,g')/postgres"
export BENCH_SOCKET BENCH_PG
"$@"
