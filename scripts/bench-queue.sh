#!/bin/sh
# Cycles of the dial queue a second on SQLite and on a PostgreSQL of its own, with 1, 2 and 4 nodes,
# and graphile-worker beside it on the same server in the same run. `--json FILE` keeps the lines.
set -eu
cd "$(dirname "$0")/.."

json=""
contacts=20000
while [ $# -gt 0 ]; do
    case "$1" in
        --json) json="$2"; shift 2 ;;
        --contacts) contacts="$2"; shift 2 ;;
        *) echo "bench-queue: unknown $1" >&2; exit 1 ;;
    esac
done
for program in initdb postgres; do
    command -v $program >/dev/null 2>&1 || PATH="$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)"
    command -v $program >/dev/null 2>&1 || { echo "bench-queue: no PostgreSQL: make setup" >&2; exit 1; }
done

example="${QUEUE_EXAMPLE:-}"
if [ -z "$example" ]; then
    ${CARGO:-cargo} build --locked --release -p outdial-store --example queue
    example=./target/release/examples/queue
fi

# Beside the sources, not where temporary files may be in memory: commits must reach a disk.
home=$(mktemp -d -p .)
home=$(cd "$home" && pwd)
lines="$home/lines.json"
server=""
finish() {
    [ -n "$server" ] && kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT INT TERM

as=""
socket="$home"
if [ "$(id -u)" -eq 0 ]; then
    chmod 755 "$home"
    mkdir "$home/pg"
    chown nobody "$home/pg"
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups"
    socket=$(mktemp -d)
    chmod 755 "$socket"
    chown nobody "$socket"
    trap 'finish; rm -rf "$socket"' EXIT INT TERM
else
    mkdir "$home/pg"
fi
cd /
$as initdb -U outdial -A trust --locale=C -E UTF8 -D "$home/pg/data" >/dev/null
$as postgres -D "$home/pg/data" -k "$socket" -c listen_addresses= -c shared_buffers=256MB \
    -c max_wal_size=4GB -c autovacuum_naptime=5s -c log_min_messages=fatal >/dev/null 2>&1 &
server=$!
cd - >/dev/null
until psql -h "$socket" -U outdial -d postgres -c 'SELECT 1' >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || { echo "bench-queue: PostgreSQL did not start" >&2; exit 1; }
    sleep 0.1
done
url="postgres://outdial@$(printf %s "$socket" | sed 's,/,%2F,g')/postgres"

"$example" sqlite "$contacts" 1 | tee -a "$lines"
"$example" "$url" "$contacts" 1 2 4 | tee -a "$lines"

if command -v npm >/dev/null 2>&1 &&
    npm install --silent --no-audit --no-fund --prefix "$home/npm" graphile-worker@0.16 >/dev/null 2>&1
then
    cp scripts/bench-queue.cjs "$home/npm/bench.cjs"
    # Its pace is the same for as many as it does in half a minute.
    theirs=$contacts
    [ "$theirs" -le 5000 ] || theirs=5000
    node "$home/npm/bench.cjs" "$socket" "$theirs" | tee -a "$lines"
else
    echo "bench-queue: no npm, or no way to graphile-worker: measured without it" >&2
fi

awk -v RS='\n' '
    function field(name,   found) {
        found = $0
        if (!sub(".*\"" name "\": *", "", found)) return "-"
        if (sub("^\"", "", found)) sub("\".*", "", found); else sub("[,}].*", "", found)
        return found
    }
    BEGIN { printf "\n%-28s %6s %10s %14s %12s\n", "", "nodes", "cycles/s", "most in 1 s", "cap" }
    {
        name = field("database"); rate = field("cycles_per_s")
        printf "%-28s %6s %10s %14s %12s\n", name, field("nodes"), rate, field("most_in_a_second"), field("cap_per_s")
        if (name == "postgresql" && field("nodes") == 1) ours = rate
        if (name == "graphile-worker, cycles") theirs = rate
    }
    END { if (ours > 0 && theirs > 0) printf "\nratio to graphile-worker: %.2f\n", ours / theirs }
' "$lines"
[ -z "$json" ] || cp "$lines" "$json"
