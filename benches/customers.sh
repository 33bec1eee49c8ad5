#!/usr/bin/env bash
# 90-day spend on Online Retail, cut at 2011-09-09: trees with intervals beside our BG/NBD with gamma-gamma, the last 90 days
# again and everybody's mean, and beside BG/NBD with gamma-gamma of lifetimes: benches/customers.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
file="$DHOW_DATA_DIR/online_retail/online_retail.parquet"
[ -f "$file" ] || { echo "SKIPPED: customers: data folder absent"; exit 0; }
cargo build --release --quiet
python="$(benches/peers/install lifetimes==0.11.3 pyarrow)"
export PATH="$CARGO_TARGET_DIR/release:$(dirname "$python"):$PATH"
python3 benches/compare.py --name customers-online-retail --runs 1 --no-warmup --peer-version "lifetimes 0.11.3" \
  --dhow "dhow evaluate customers --data $file --cut 2011-09-09 --days 90 --json" \
  --peer "python benches/peers/customers.py $file 2011-09-09 90" \
  --note "mean absolute error in pounds, rank correlation, share of customers in their 80 % intervals"
