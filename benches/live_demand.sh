#!/usr/bin/env bash
# Sales into live demand and 90-day forecasts out of it, in memory and on one thread: benches/live_demand.sh [runs]
# A sale updates the series of its product, seller, categories and all, in its region and in all regions.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
export PATH="$CARGO_TARGET_DIR/release:$PATH"
python3 benches/compare.py --name live-demand --runs "${1:-3}" --no-warmup --dhow "live_demand" \
  --note "500 products in ten regions, 60,000 sales of 60 days, 20,000 forecasts of 90 days with three quantiles"
