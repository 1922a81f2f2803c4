#!/bin/sh
# One server with a trunk whose callees answer, one client's page, and Schemathesis. BENCH_PG is the URL of the
# database, where it is not SQLite.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=$(mktemp -d)
processes=
end() {
    for process in $processes; do kill "$process" 2> /dev/null || true; done
    for process in $processes; do wait "$process" 2> /dev/null || true; done
    [ -z "${LOGS:-}" ] || { mkdir -p "$LOGS" && cp "$home/log" "$LOGS/server-$(basename "$home").log"; }
    rm -rf "$home"
}
trap end EXIT
trap 'exit 130' INT TERM
started() { # file that appears, process
    tries=0
    until [ -s "$home/$1" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -0 "$2" 2> /dev/null; then
            cat "$home/log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

"$OUTDIAL" lab carrier --bind 127.0.0.1:0 --calls "$home/calls" --ready-file "$home/carrier" \
    --rtp-ports 45000 45198 > "$home/carrier.log" 2>&1 &
processes="$processes $!"
started carrier "$!"
carrier=$(sed -n 's/.*"sip": *"\([^"]*\)".*/\1/p' "$home/carrier")
python3 "$here/page.py" "$home/page" &
processes="$processes $!"
started page "$!"

database=
[ -z "${BENCH_PG:-}" ] || database="url = \"$BENCH_PG\""
cat > "$home/outdial.toml" << TOML
[api]
listen = "127.0.0.1:0"
[calls]
drain_time_max_s = 0
[fetch]
allow_private = ["127.0.0.0/8"]
[log]
filter = "warn"
[rtp]
bind = "127.0.0.1"
port_min = 46000
port_max = 46998
[sip]
bind = "127.0.0.1:0"
[store]
path = "$home/outdial.db"
$database
[[trunk]]
name = "carrier"
hosts = ["$carrier"]
allow_loopback = true
slots = 20
calls_per_second = 5
TOML
# One who may do everything, and one to whom it is done.
"$OUTDIAL" --config "$home/outdial.toml" account create admin --json > "$home/secrets.json"
"$OUTDIAL" --config "$home/outdial.toml" account set admin --operator true > /dev/null
"$OUTDIAL" --config "$home/outdial.toml" account create second > /dev/null
"$OUTDIAL" --config "$home/outdial.toml" serve --ready-file "$home/ready" 2> "$home/log" &
server=$!
processes="$server $processes"
started ready "$server"

# What there is to ask for, and who asks.
python3 "$here/prepare.py" "$home"
url=$(cat "$home/url")
# What is random is chosen by the seed. 429 is for strangers, and these keys are right or missing.
# It keeps what it has found where it runs, which is not here.
status=0
cd "$home"
PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS="$here/hooks.py" OUTDIAL_KNOWN="$home/known.json" \
    "$SCHEMATHESIS" --config-file "$home/schemathesis.toml" run "$url/openapi.json" \
    --checks all --exclude-checks positive_data_acceptance \
    --max-examples 30 --request-timeout 60 --seed "${SEED:-1}" --continue-on-failure --generation-database :memory: \
    --suppress-health-check all --warnings off --output-sanitize false "$@" || status=$?
if ! kill -0 "$server" 2> /dev/null; then
    echo "the server did not outlive it:" >&2
    status=1
fi
python3 "$here/prepare.py" "$home" --after
# Addresses that were made up are not reached, which is no fault of the server.
grep -E 'ERROR|panicked' "$home/log" | grep -v 'given up after' >&2 && status=1
exit "$status"
