#!/bin/sh
# Queues one call and a list as a client of Plum DEV Outbound does; docs/api/plum.md.
# OUTDIAL is the server, LOGIN and PIN the account, START and RESULT your own pages.
set -eu
OUTDIAL=${OUTDIAL:-http://127.0.0.1:8080}
LOGIN=${LOGIN:-admin}
START=${START:-http://127.0.0.1:9000/start}
RESULT=${RESULT:-http://127.0.0.1:9000/result}
: "${PIN:?set PIN to the PIN of $LOGIN}"

# One call, tomorrow morning, dialed up to three times.
curl --fail-with-body --silent --show-error "$OUTDIAL/webservice/queuecall.php" \
    --data-urlencode "login=$LOGIN" \
    --data-urlencode "pin=$PIN" \
    --data-urlencode "phone_number=tel:+12125550101;ani=8005550199" \
    --data-urlencode "start_url=$START" \
    --data-urlencode "result_url=$RESULT" \
    --data-urlencode "message_reference=order-4711" \
    --data-urlencode "scheduled_time=tomorrow 9am" \
    --data-urlencode "max_retries=2" \
    --data-urlencode "retry_interval=300"

# A campaign from a list: number, message_reference and call_parameters between tabs.
printf '%s\t%s\t%s\n' \
    "+12125550101" "order-1" "name=Ann" \
    "+12125550102;ani=8005550199" "order-2" "name=Bo" |
    curl --fail-with-body --silent --show-error "$OUTDIAL/webservice/queuecalls.php" \
        --form-string "login=$LOGIN" \
        --form-string "pin=$PIN" \
        --form-string "campaign=spring" \
        --form-string "start_url=$START" \
        --form-string "result_url=$RESULT" \
        --form "phone_list=@-;filename=list.txt"
