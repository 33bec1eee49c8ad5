#!/usr/bin/env bash
# Money under faults, the long version: benches/money.sh [LIVES]. So many lives of a shop on SQLite and as many on
# PostgreSQL, each from its seed: the process dies at numbered write points and on both sides of the rail, answers are lost,
# delayed and told twice, requests are retried 32 at once. A life that ends with money moved twice, lost, or not in the books
# fails the run. The test command leads a hundred of them on each database.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
DHOW_TEST_LIVES="${1:-10000}" cargo test --release --workspace --test store -- --nocapture --test-threads 1 \
  whatever_dies_and_is_lost_money_moves_exactly_once
