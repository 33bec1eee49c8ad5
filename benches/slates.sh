#!/usr/bin/env bash
# What a slate costs the recommender itself, with 1,600 products and with 20,000, and a million filtered ones: benches/slates.sh [runs].
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
# Filters alone: a million requests, half of them of people, and not one product that the filter should have kept out.
for kind in "session, 1 % filter" "person and session, 1 % filter"; do
  python3 benches/compare.py --name slates-filtered --runs 1 --no-warmup \
    --note "half a million requests whose filter keeps 1 % of 1,600 products; filter_violations is the figure" \
    --dhow "slates --requests 500000 --only '$kind'"
done
