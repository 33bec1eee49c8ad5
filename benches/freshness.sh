#!/usr/bin/env bash
# From an event's acknowledgement to its count in a feature read, over HTTP: benches/freshness.sh DATA_FOLDER [rate] [seconds] [runs]
# The server and the program that posts and reads share the machine's cores. The data folder is the demo's; it is copied,
# since the events stay in it.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
rate="${2:-200}" seconds="${3:-60}" runs="${4:-5}"
cargo build --release --workspace --quiet
work="$(mktemp -d)"
cp -r "$1" "$work/data"
"$CARGO_TARGET_DIR/release/dhow" serve --data-dir "$work/data" --bind 127.0.0.1:8099 2>"$work/server.log" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do curl -sf http://127.0.0.1:8099/readyz >/dev/null && break; sleep 0.2; done
# The archived command names neither this machine's folders nor its processes.
export PATH="$CARGO_TARGET_DIR/release:$PATH" DHOW_BENCH_SERVER_PID="$server"
python3 benches/compare.py --name freshness --runs "$runs" --no-warmup \
  --note "open loop, $rate events/s for $seconds s after 5 s, each on disk before it is acknowledged; reads every millisecond" \
  --dhow "freshness --url http://127.0.0.1:8099 --rate $rate --seconds $seconds"
