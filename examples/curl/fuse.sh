#!/bin/sh
# Queues one call and a list as a client of Plum Fuse does, asks for the call, and cancels what
# waits; docs/api/fuse.md. OUTDIAL is the server, LOGIN the account's e-mail and KEY its developer
# key, RESULT your own page. The deployment is made once, by the native API.
set -eu
OUTDIAL=${OUTDIAL:-http://127.0.0.1:8080}
LOGIN=${LOGIN:-admin}
RESULT=${RESULT:-http://127.0.0.1:9000/result}
: "${KEY:?set KEY to the API key of $LOGIN}"

# Once: a script under numbers. A client that moves here asks for the numbers that it has.
curl --fail-with-body --silent --show-error "$OUTDIAL/v1/deployments" \
    --header "Authorization: Bearer $KEY" \
    --header "Content-Type: application/json" \
    --data '{"name": "reminders", "id": 34, "application_id": 12, "document":
        "<vxml version=\"2.1\"><form><block>Hello <value expr=\"name\"/>.</block></form></vxml>"}'
echo

# One call in a window, dialed up to three times; "name" is a variable of the script.
head=$(mktemp)
curl --fail-with-body --silent --show-error --dump-header "$head" \
    "$OUTDIAL/api/apps/12/34/queue" \
    --user "$LOGIN:$KEY" \
    --data-urlencode "phone_number=tel:+16175551234;ani=8009957586;postd=2" \
    --data-urlencode "start_timestamp=4000000000" \
    --data-urlencode "max_attempts=3" \
    --data-urlencode "reattempt_wait=600" \
    --data-urlencode "result_url=$RESULT" \
    --data-urlencode 'metadata={"name":"John Doe"}'
echo

# Where it stands: the address is in the header Link.
status=$(sed -n 's/^[Ll]ink: <\([^>]*\)>.*/\1/p' "$head")
rm "$head"
curl --fail-with-body --silent --show-error "$OUTDIAL$status" --user "$LOGIN:$KEY"
echo

# A list: the number, and whatever else a row says as variables.
printf '%s\n' '"destination","name"' '"6175551234","Ann"' '"tel:+16175551235","Bo"' |
    curl --fail-with-body --silent --show-error "$OUTDIAL/api/apps/12/34/bulk_queue" \
        --user "$LOGIN:$KEY" \
        --header "Accept: application/xml" \
        --form-string "start_timestamp=4000000000" \
        --form "csv=@-;filename=list.csv"

# All that waits is canceled.
curl --fail-with-body --silent --show-error --request DELETE --write-out '%{http_code}\n' \
    "$OUTDIAL/api/apps/12/34/cancel" --user "$LOGIN:$KEY"
