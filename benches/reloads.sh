#!/usr/bin/env bash
# A model of trees asked at a constant rate while its versions are changed, in windows that take turns with quiet ones; then
# what the protocol adds to the model's own time: benches/reloads.sh [rate] [seconds of a window] [windows] [changes in a window]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
rate="${1:-1000}" seconds="${2:-10}" windows="${3:-10}" changes="${4:-10}"
cargo build --release --workspace --quiet
work="$(mktemp -d)"
dhow="$CARGO_TARGET_DIR/release/dhow" fixtures="$PWD/models/trees/tests/trees/fixtures"
trap 'kill "${server:-}" 2>/dev/null; wait "${server:-}" 2>/dev/null; rm -rf "$work"' EXIT
for version in binary no_missing zero_missing; do
  "$dhow" models --data-dir "$work/data" import "$fixtures/lightgbm_$version.txt" --name trees --task custom --licence Apache-2.0 >/dev/null
done
# One caller is all the load here, so its share of the server must be no less than the rate.
DHOW_SERVER_REQUESTS_PER_SECOND=100000 "$dhow" serve --data-dir "$work/data" --bind 127.0.0.1:8099 --load trees 2>"$work/server.log" &
server=$!
for _ in $(seq 100); do curl -sf http://127.0.0.1:8099/readyz >/dev/null && break; sleep 0.2; done
kill -0 "$server" || { cat "$work/server.log"; exit 1; }
body='{"inputs":[{"name":"features","datatype":"FP64","shape":[1,4],"data":[0.5,-1.25,2.0,3.0]}]}'
printf '{"method":"POST","path":"/v2/models/trees/infer","body":%s}\n' "$body" >"$work/infer.ndjson"
export PATH="$CARGO_TARGET_DIR/release:$PATH" DHOW_BENCH_SERVER_PID="$server"
compare="$PWD/benches/compare.py" window="python3 $PWD/benches/reload_window.py http://127.0.0.1:8099 trees"
cd "$work"
load="load --url http://127.0.0.1:8099 --requests infer.ndjson --rate $rate --seconds $seconds --warmup 1"
python3 "$compare" --name reloads --runs "$windows" --peer-version "the same server without changes" \
  --note "open loop, $rate requests/s; $changes changes among three versions in each window of $seconds s beside quiet windows" \
  --dhow "$window $changes $seconds $load" --peer "$window 0 $seconds $load"
python3 "$compare" --name inference-overhead --runs 5 \
  --note "one connection, one request at a time, a model of trees over JSON; live is a request that does nothing" \
  --dhow "inference --url http://127.0.0.1:8099 --model trees --body '$body'"
