#!/usr/bin/env bash
# Checkouts with score, reservation, books and outbox on PostgreSQL under a constant rate: benches/checkout.sh [rate] [seconds] [runs]
# A PostgreSQL server with its usual settings (every commit synced) is started in a folder of its own; the demo fills it and
# trains the models; then every request is a checkout with an Idempotency-Key of its own, of two or three products. The
# server, the database and the generator share the machine's cores.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
rate="${1:-300}" seconds="${2:-60}" runs="${3:-5}"
cargo build --release --workspace --quiet
work="$(mktemp -d)"
stop() {
  kill "${server:-}" 2>/dev/null && wait "$server" 2>/dev/null
  stop_postgres
  rm -rf "$work"
}
. benches/postgres.sh
trap stop EXIT
dhow="$CARGO_TARGET_DIR/release/dhow" data="$work/data"
"$dhow" demo --scale small --exit --data-dir "$data" >"$work/demo.log" 2>&1 || { cat "$work/demo.log"; exit 1; }
# One caller is all the load here, so its share of the server must be no less than the rate.
DHOW_SERVER_REQUESTS_PER_SECOND=100000 "$dhow" serve --data-dir "$data" --bind 127.0.0.1:8099 2>"$work/server.log" &
server=$!
for _ in $(seq 100); do curl -sf http://127.0.0.1:8099/readyz >/dev/null && break; sleep 0.2; done
kill -0 "$server" || { cat "$work/server.log"; exit 1; }
python3 benches/requests.py "$dhow" "$data" "$work"
export PATH="$CARGO_TARGET_DIR/release:$PATH" DHOW_BENCH_SERVER_PID="$server"
compare="$PWD/benches/compare.py" load="load --url http://127.0.0.1:8099"
cd "$work"
# So much stock that no checkout is refused for want of it.
$load --requests stock.ndjson --rate 200 --seconds "$(($(wc -l <stock.ndjson) / 200 + 1))" --warmup 0 >/dev/null
python3 "$compare" --name checkout --runs "$runs" --no-warmup --peer-version "$version" \
  --note "open loop, $rate checkouts/s for $seconds s after 5 s, on $version with its usual settings" \
  --dhow "$load --requests checkout.ndjson --rate $rate --seconds $seconds"
