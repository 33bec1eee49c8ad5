#!/usr/bin/env bash
# HTTP latency of recommend, score and forecast under a constant rate: benches/http.sh DATA_FOLDER [rate] [seconds] [runs]
# The server and the generator share the machine's cores; the data folder is the demo's.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
data="$1" rate="${2:-500}" seconds="${3:-60}" runs="${4:-1}"
cargo build --release --workspace --quiet
work="$(mktemp -d)"
"$CARGO_TARGET_DIR/release/dhow" serve --data-dir "$data" --bind 127.0.0.1:8099 2>"$work/server.log" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do curl -sf http://127.0.0.1:8099/readyz >/dev/null && break; sleep 0.2; done
python3 benches/requests.py "$CARGO_TARGET_DIR/release/dhow" "$data" "$work"
for kind in recommend score forecast; do
  python3 benches/compare.py --name "http-$kind" --runs "$runs" --no-warmup \
    --note "open loop, $rate requests/s for $seconds s after 5 s, data of $data" \
    --dhow "$CARGO_TARGET_DIR/release/load --url http://127.0.0.1:8099 --requests $work/$kind.ndjson --rate $rate --seconds $seconds --pid $server"
done
