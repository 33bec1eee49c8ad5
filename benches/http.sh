#!/usr/bin/env bash
# HTTP latency of recommend, score, forecast and features (of 100 entities, of one) under a constant rate: benches/http.sh DATA_FOLDER [rate] [seconds] [runs]
# The server and the generator share the machine's cores; the data folder is the demo's. A score waits for its record on
# the disk and 100 entities are 5,000 values, so their rate is a fifth of the others'.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
data="$(realpath "$1")" rate="${2:-500}" seconds="${3:-60}" runs="${4:-5}"
cargo build --release --workspace --quiet
work="$(mktemp -d)"
"$CARGO_TARGET_DIR/release/dhow" serve --data-dir "$data" --bind 127.0.0.1:8099 2>"$work/server.log" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do curl -sf http://127.0.0.1:8099/readyz >/dev/null && break; sleep 0.2; done
python3 benches/requests.py "$CARGO_TARGET_DIR/release/dhow" "$data" "$work"
# The archived command names neither this machine's folders nor its processes.
export PATH="$CARGO_TARGET_DIR/release:$PATH" DHOW_BENCH_SERVER_PID="$server"
cd "$work"
log_mib=$(du -sm "$data/log" | cut -f1)
for kind in recommend score forecast features feature-row; do
  case $kind in score | features) at=$((rate / 5)) ;; *) at=$rate ;; esac
  python3 "$OLDPWD/benches/compare.py" --name "http-$kind" --runs "$runs" --no-warmup \
    --note "open loop, $at requests/s for $seconds s after 5 s, a demo's data folder with $log_mib MiB of log" \
    --dhow "load --url http://127.0.0.1:8099 --requests $kind.ndjson --rate $at --seconds $seconds"
done
