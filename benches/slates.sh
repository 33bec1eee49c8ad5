#!/usr/bin/env bash
# What a slate costs the recommender itself, with 1,600 products and with 20,000: benches/slates.sh [runs].
# Requests of a session alone and of a person with a session, each without a filter and with one that keeps 1 % of the
# products; on one thread, in one process, without HTTP or a database. Every answer is checked against its filter.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
export PATH="$CARGO_TARGET_DIR/release:$PATH"
for products in 1600 20000; do
  python3 benches/compare.py --name "slates-$products" --runs "${1:-3}" --no-warmup \
    --note "slates of 20, requests of the simulator's last week, $products products, one thread; cpu_us_per_request is the figure" \
    --dhow "slates --products $products"
done
