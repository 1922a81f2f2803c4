#!/bin/sh
# Installs what demo, test, bench and chaos need and is missing. Debian 12; a Rust toolchain is yours to bring.
set -eu

if ! command -v cargo >/dev/null 2>&1; then
    echo "setup: cargo is missing: install a Rust toolchain (see rust-toolchain.toml for the version)" >&2
    exit 1
fi

missing=""
need() { # program, package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need cc gcc
need espeak-ng espeak-ng
need flite flite
need pocketsphinx_batch "pocketsphinx pocketsphinx-en-us"
need sipp sip-tester
need baresip baresip
need curl curl
# For the faults of `make chaos` that let a clock jump.
need faketime faketime
# For make bench-import.
need sqlite3 sqlite3
need time time
# For make schemathesis, which installs itself below target/.
python3 -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv"
# Debian keeps the server's programs out of the way of those who do not look for them.
if ! command -v initdb >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    missing="$missing postgresql"
fi
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: please install:$missing" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "setup: please install as root:$missing" >&2; exit 1; }
    as_root=sudo
fi
echo "setup: installing$missing" >&2
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
