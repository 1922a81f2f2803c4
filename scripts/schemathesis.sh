#!/bin/sh
# Asks real servers on loopback what their OpenAPI document promises, and much that it does not: Schemathesis makes
# the requests, for every address of the document, the vendors' included; on SQLite, then on PostgreSQL. Fails where
# an answer is a 5xx, is not documented, is not as its schema says, or where what is wrong is taken.
# DATABASES="sqlite postgresql" are those to be asked; SEED is the seed; further arguments go to `schemathesis run`.
# SCHEMATHESIS is the program, where it is not to be installed below target/; LOGS a directory that keeps what was said.
set -eu
cd "$(dirname "$0")/.."
OUTDIAL=${OUTDIAL:-$PWD/target/debug/outdial}
VERSION=4.32.5

if [ -z "${SCHEMATHESIS:-}" ]; then
    venv=$PWD/target/schemathesis-$VERSION
    if [ ! -x "$venv/bin/schemathesis" ]; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION"
    fi
    SCHEMATHESIS=$venv/bin/schemathesis
fi
export SCHEMATHESIS OUTDIAL

status=0
for database in ${DATABASES:-sqlite postgresql}; do
    echo "== $database"
    case $database in
        sqlite) scripts/schemathesis/ask.sh "$@" || status=$? ;;
        postgresql) scripts/with-postgres.sh scripts/schemathesis/ask.sh "$@" || status=$? ;;
        *) echo "DATABASES has $database, expected sqlite or postgresql" >&2 && exit 2 ;;
    esac
done
exit "$status"
