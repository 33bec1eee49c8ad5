#!/usr/bin/env bash
# Pages of orders over HTTP of tables of 1,000 to 10,000,000 rows: benches/lists.sh [ROWS_MAX] [ROUNDS]
# On SQLite and on a PostgreSQL of its own with its usual settings; ten million orders take some 15 GB while they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
rows="${1:-10000000}" rounds="${2:-5}"
cargo build --release --workspace --quiet
work="$(mktemp -d)" dhow="$CARGO_TARGET_DIR/release/dhow" load="$CARGO_TARGET_DIR/release/load"
. benches/postgres.sh
trap 'stop_postgres; rm -rf "$work"' EXIT
postgres="$DHOW_DATABASE_URL"
# The models of a checkout; whatever the demo wrote into its database is not used.
DHOW_DATABASE_URL="sqlite://$work/demo.db" "$dhow" demo --scale small --exit --data-dir "$work/data" >"$work/demo.log" 2>&1 || { cat "$work/demo.log"; exit 1; }
for DHOW_DATABASE_URL in "sqlite://$work/lists.db" "$postgres"; do
  export DHOW_DATABASE_URL
  python3 benches/compare.py --name "lists-${DHOW_DATABASE_URL%%:*}" --runs 1 --no-warmup --peer-version "$version" \
    --note "pages of 50 orders at 100 a second, $rounds rounds of 3 s each, the sizes taking turns" \
    --dhow "python3 benches/lists.py $dhow $load $work/data $work $rows $rounds"
  rm -rf "$work"/lists*.db* "$work"/data-*
done
