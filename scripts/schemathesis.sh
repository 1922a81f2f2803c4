#!/bin/sh
# Asks a real server on loopback what its OpenAPI document promises, and much that it does not: Schemathesis
# (pip install schemathesis) makes the requests. Fails where an answer is a 5xx, or one that is not documented.
# SCHEMATHESIS is the program, PORT a free port; further arguments go to `schemathesis run`, as --seed 7.
set -eu
SCHEMATHESIS=${SCHEMATHESIS:-schemathesis}
PORT=${PORT:-18480}
OUTDIAL=${OUTDIAL:-./target/debug/outdial}
if ! command -v "$SCHEMATHESIS" > /dev/null; then
    echo "schemathesis is not installed: pip install schemathesis, or name it by SCHEMATHESIS" >&2
    exit 2
fi

home=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    [ -z "$server" ] || wait "$server" 2> /dev/null || true
    rm -rf "$home"
}
trap end EXIT
trap 'exit 130' INT TERM

cat > "$home/outdial.toml" << TOML
[api]
listen = "127.0.0.1:$PORT"
[calls]
drain_time_max_s = 0
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
TOML
"$OUTDIAL" --config "$home/outdial.toml" serve --ready-file "$home/ready" 2> "$home/log" &
server=$!
tries=0
until [ -s "$home/ready" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2> /dev/null; then
        cat "$home/log" >&2
        exit 1
    fi
    sleep 0.1
done
key=$(sed -n 's/^ *API key *//p' "$home/log")

# A server without trunks is not healthy, and says so by 503. What is random is chosen by the seed; 429 is for strangers, and these keys are right or missing.
status=0
"$SCHEMATHESIS" run "http://127.0.0.1:$PORT/openapi.json" --header "Authorization: Bearer $key" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    --phases examples,coverage,fuzzing --max-examples 30 --seed 1 --continue-on-failure \
    --exclude-path /healthz --suppress-health-check all --warnings off "$@" || status=$?
if ! kill -0 "$server" 2> /dev/null; then
    echo "the server did not outlive it:" >&2
    status=1
fi
# Addresses that were made up are not reached, which is no fault of the server.
grep -E 'ERROR|panicked' "$home/log" | grep -v 'given up after' >&2 && status=1
exit "$status"
