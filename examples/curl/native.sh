#!/bin/sh
# Makes a call, reads it, lists calls, stops and starts its campaign, cancels it; docs/api/native.md.
# OUTDIAL is the server, KEY the API key.
set -eu
OUTDIAL=${OUTDIAL:-http://127.0.0.1:8080}
: "${KEY:?set KEY to an API key}"

ask() { # method, path, further arguments of curl
    method=$1 path=$2
    shift 2
    curl --fail-with-body --silent --show-error --request "$method" "$OUTDIAL$path" \
        --header "Authorization: Bearer $KEY" "$@"
    echo
}
id_of() { sed 's/^{"id":"\([0-9]*\)".*/\1/'; }

campaign=$(ask POST /v1/campaigns --json '{ "name": "example", "state": "stopped" }' | id_of)
call=$(ask POST /v1/calls --json '{
    "number": "+12125550101",
    "campaign": "example",
    "say": "Your table is ready.",
    "reference": "order-4711",
    "retry": { "attempts_max": 3, "wait_s": 300 }
}' | id_of)

ask GET "/v1/calls/$call"
ask GET "/v1/calls?state=waiting&limit=10"
ask GET "/v1/campaigns/$campaign"
ask POST "/v1/calls/$call/cancel"
ask POST "/v1/campaigns/$campaign/start"
ask POST "/v1/campaigns/$campaign/stop"
ask PATCH "/v1/campaigns/$campaign" --json '{ "unique_references": true }'

# Nothing of the account is dialed, and everything again.
ask POST /v1/account/suspend
ask POST /v1/account/resume
ask GET /v1/account/caller-ids
