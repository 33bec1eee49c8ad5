#!/usr/bin/env bash
# HTTP latency of recommend, score, forecast and features (of 100 entities, of one) under a constant rate: benches/http.sh DATA_FOLDER [rate] [seconds] [runs] [kinds] [kinds sustained]
# Then the highest rate of single feature rows and of recommendations that is sustained. The server and the generator
# share the machine's cores; the data folder is the demo's. A score waits for its record on the disk and 100 entities are
# 5,000 values, so their rate is a fifth of the others'; KIND=RATE names a rate of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
data="$(realpath "$1")" rate="${2:-500}" seconds="${3:-60}" runs="${4:-5}"
kinds="${5-recommend score forecast features feature-row}" sustained="${6-feature-row recommend}"

work="$(mktemp -d)"
# One caller is all the load here, so its share of the server must be no less than the highest rate tried.
DHOW_SERVER_REQUESTS_PER_SECOND=100000 "$CARGO_TARGET_DIR/release/dhow" serve --data-dir "$data" --bind 127.0.0.1:8099 2>"$work/server.log" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do curl -sf http://127.0.0.1:8099/readyz >/dev/null && break; sleep 0.2; done
kill -0 "$server" || { cat "$work/server.log"; exit 1; }
python3 benches/requests.py "$CARGO_TARGET_DIR/release/dhow" "$data" "$work"
# The archived command names neither this machine's folders nor its processes.
export PATH="$CARGO_TARGET_DIR/release:$PATH" DHOW_BENCH_SERVER_PID="$server"
cd "$work"
log_mib=$(du -sm "$data/log" | cut -f1)
compare="$OLDPWD/benches/compare.py" load="load --url http://127.0.0.1:8099"
for kind in $kinds; do
  case $kind in *=*) at="${kind#*=}" kind="${kind%=*}" ;; score | features) at=$((rate / 5)) ;; *) at=$rate ;; esac
  python3 "$compare" --name "http-$kind" --runs "$runs" --no-warmup \
    --note "open loop, $at requests/s for $seconds s after 5 s, a demo's data folder with $log_mib MiB of log" \
    --dhow "$load --requests $kind.ndjson --rate $at --seconds $seconds"
done
for kind in $sustained; do
  python3 "$compare" --name "http-$kind-sustained" --runs "$runs" --no-warmup \
    --note "open loop, the highest of these rates at which nothing fails and p99 is at most 10 ms; server and generator share the cores, no pipelining" \
    --dhow "$load --requests $kind.ndjson --rate 4000,6000,8000,10000,12000,14000 --seconds 8 --warmup 2"
done
