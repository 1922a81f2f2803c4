#!/bin/sh
# Fuzzes what comes from outside, a minute for each target; a finding stops it and is printed.
#   scripts/fuzz.sh [SECONDS] [TARGET...]
# Built by the toolchain of the house: coverage counters are a pass of the compiler, and libFuzzer comes with libfuzzer-sys
# (needs c++). No input may take longer than 10 s or more than 1 GB.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-"abnf actions codec import rtp sdp sip sisr srgs vxml wav"}
host=$(rustc -vV | sed -n 's/^host: //p')
out=target/fuzz

export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
bins=""
for target in $targets; do bins="$bins --bin $target"; done
# shellcheck disable=SC2086 # a list of options
${CARGO:-cargo} build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$out" $bins

# Where our own documents of each kind are.
seeds() {
    find "fuzz/seeds/$1" -type f 2>/dev/null || true
    case $1 in
    vxml) find crates/script/tests/golden crates/outdial/tests/wire/documents -name '*.vxml' ;;
    srgs) find crates/script/tests/golden crates/outdial/tests/wire/documents -name '*.grxml' ;;
    esac
}

for target in $targets; do
    corpus=$out/corpus/$target
    mkdir -p "$corpus" "$out/findings"
    seeds "$target" | while read -r seed; do
        cp "$seed" "$corpus/seed-$(echo "$seed" | tr / -)"
    done
    words=""
    [ -f "fuzz/dictionaries/$target.dict" ] && words="-dict=fuzz/dictionaries/$target.dict"
    log=$out/$target.log
    printf '%-8s ' "$target"
    # shellcheck disable=SC2086 # an option or none
    if "$out/$host/release/$target" "$corpus" $words -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
        -artifact_prefix="$out/findings/$target-" -print_final_stats=1 >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
        places=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
        slowest=$(sed -n 's/^stat::slowest_unit_time_sec: *//p' "$log")
        echo "no finding: $runs inputs in $seconds s, $places, $memory MB, slowest $slowest s"
    else
        tail -n 40 "$log"
        echo "$target: a finding; the input is in $out/findings" >&2
        exit 1
    fi
done
