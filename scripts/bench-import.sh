#!/bin/sh
# Lists of growing length taken in by a real server (`outdial import`), on SQLite and on a PostgreSQL of its own: rows a
# second, and the most memory that server and client had, beside sqlite3's .import and COPY of the same file.
# `--json FILE` keeps the lines; ROWS are the lengths.
set -eu
cd "$(dirname "$0")/.."

json=""
rows="${ROWS:-100000 1000000}"
databases="${DATABASES:-sqlite postgresql}"
while [ $# -gt 0 ]; do
    case "$1" in
        --json) json="$2"; shift 2 ;;
        *) echo "bench-import: unknown $1" >&2; exit 1 ;;
    esac
done
program=$(realpath "${BENCH_PROGRAM:-./target/release/outdial}")
for needed in sqlite3 curl /usr/bin/time; do
    command -v $needed >/dev/null 2>&1 || { echo "bench-import: no $needed" >&2; exit 1; }
done
home=$(mktemp -d -p .)
home=$(cd "$home" && pwd)
lines="$home/lines.json"
server=""
finish() {
    [ -n "$server" ] && kill -KILL "$server" 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT
trap 'exit 1' INT TERM

now() { date +%s.%N; }
since() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.2f", to - from }'; }

# Name, city and reference of each are its own; numbers are those of a plan without gaps.
list() {
    awk -v rows="$1" 'BEGIN {
        print "phone,reference,first_name,city"
        for (nth = 0; nth < rows; nth++)
            printf "+1%03d%03d%04d,order-%d,Name%d,City %d\n", 201 + int(nth / 6000000),
                200 + int(nth / 10000) % 600, nth % 10000, nth, nth, nth % 997
    }' >"$2"
}

# What the database itself takes for the same file: in seconds.
bare() {
    case "$1" in
        sqlite)
            from=$(now)
            sqlite3 "$home/bare.db" 'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
                CREATE TABLE bare (phone TEXT, reference TEXT, first_name TEXT, city TEXT);' \
                '.mode csv' ".import --skip 1 $2 bare" >/dev/null
            since "$from"
            rm -f "$home"/bare.db*
            ;;
        postgresql)
            psql -qh "$BENCH_SOCKET" -U outdial -d postgres -c 'SET client_min_messages = error;
                DROP TABLE IF EXISTS public.bare; CREATE TABLE public.bare (phone text, reference text, first_name text, city text)'
            from=$(now)
            psql -qh "$BENCH_SOCKET" -U outdial -d postgres \
                -c '\copy public.bare FROM STDIN CSV HEADER' <"$2"
            since "$from"
            ;;
    esac
}

one() {
    database=$1 many=$2
    dir="$home/$database-$many"
    mkdir "$dir"
    list "$many" "$dir/list.csv"
    bare_s=$(bare "$database" "$dir/list.csv")
    store=""
    if [ "$database" = postgresql ]; then
        # A schema for each, so that each begins empty.
        psql -qh "$BENCH_SOCKET" -U outdial -d postgres -c "CREATE SCHEMA import_$many"
        store="url = \"$BENCH_PG?options=-csearch_path%3Dimport_$many\""
    fi
    cat >"$dir/outdial.toml" <<EOF
[api]
listen = "127.0.0.1:0"
[log]
filter = "warn"
[sip]
bind = "127.0.0.1:0"
[rtp]
bind = "127.0.0.1"
[store]
$store
[[trunk]]
name = "nowhere"
hosts = ["127.0.0.1:9"]
slots = 1
calls_per_second = 1
allow_loopback = true
EOF
    cd "$dir"
    key=$("$program" account create bench --json | sed -n 's/.*"api_key": *"\([^"]*\)".*/\1/p')
    "$program" serve --ready-file "$dir/ready" >"$dir/log" 2>&1 &
    server=$!
    until [ -s "$dir/ready" ]; do
        kill -0 "$server" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
        sleep 0.1
    done
    api=$(sed -n 's/.*"api": *"\([^"]*\)".*/\1/p' "$dir/ready")
    idle=$(awk '/VmRSS/ { print $2 }' "/proc/$server/status")
    from=$(now)
    # Nothing is dialed before 2090.
    /usr/bin/time -f %M -o "$dir/client" "$program" import list.csv --yes --json --campaign big \
        --say Hello --opens-at 2090-01-01T00:00:00Z --server "http://$api" --api-key "$key" >"$dir/report"
    took=$(since "$from")
    # They are taken in; the last of them become dialable in the moments that follow.
    taken=0
    until [ "$taken" -ge "$many" ]; do
        taken=$(curl -s -H "Authorization: Bearer $key" "http://$api/v1/campaigns" |
            sed -n 's/.*"waiting": *\([0-9]*\).*/\1/p' | head -1)
        taken=${taken:-0}
        if awk -v took="$(since "$from")" 'BEGIN { exit took < 1800 }'; then break; fi
        sleep 0.2
    done
    dialable=$(since "$from")
    peak=$(awk '/VmHWM/ { print $2 }' "/proc/$server/status")
    kill "$server"
    wait "$server" || true
    server=""
    cd "$home/.."
    awk -v database="$database" -v rows="$many" -v taken="${taken:-0}" -v took="$took" -v bare="$bare_s" -v dialable="$dialable" \
        -v idle="$idle" -v peak="$peak" -v client="$(tail -1 "$dir/client")" \
        -v load="$(cut -d' ' -f1 /proc/loadavg)" 'BEGIN {
        printf "{\"database\":\"%s\",\"rows\":%d,\"taken\":%d,\"seconds\":%.2f,\"rows_per_s\":%d,", database, rows, taken, took, rows / took
        printf "\"dialable_after_s\":%.2f,", dialable
        printf "\"bare_seconds\":%.2f,\"ratio_to_bare\":%.1f,\"server_idle_mb\":%.0f,\"server_peak_mb\":%.0f,", bare, took / (bare > 0 ? bare : 0.01), idle / 1024, peak / 1024
        printf "\"client_peak_mb\":%.0f,\"load_1m\":%.1f}\n", client / 1024, load
    }' | tee -a "$lines"
    rm -rf "$dir"
}

for database in $databases; do
    if [ "$database" = postgresql ] && [ -z "${BENCH_PG:-}" ]; then
        DATABASES=postgresql ROWS="$rows" BENCH_PROGRAM="$program" \
            scripts/with-postgres.sh scripts/bench-import.sh --json "$home/postgresql.json"
        cat "$home/postgresql.json" >>"$lines"
        continue
    fi
    for many in $rows; do one "$database" "$many"; done
done
[ -z "$json" ] || cp "$lines" "$json"
