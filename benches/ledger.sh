#!/usr/bin/env bash
# How many entries a second the books take, on SQLite and on PostgreSQL: benches/ledger.sh [BATCHES] [RUNS]
# Batches of 1,000 entries over 10,000 sellers, each batch a transaction of its own, written one after the other; the
# program reads the journal back and compares the balances before it prints.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
batches="${1:-1000}" runs="${2:-5}"
cargo build --release --workspace --quiet
work="$(mktemp -d)"
. benches/postgres.sh
trap 'stop_postgres; rm -rf "$work"' EXIT
export PATH="$CARGO_TARGET_DIR/release:$PATH"
note="$batches batches of 1,000 entries over 10,000 sellers, one transaction each, every commit synced"
for database in "sqlite://$work/books.db" "$DHOW_DATABASE_URL"; do
  python3 benches/compare.py --name "ledger-${database%%:*}" --runs "$runs" --no-warmup --peer-version "$version" --note "$note" \
    --dhow "ledger_entries --database $database --batches $batches"
done
