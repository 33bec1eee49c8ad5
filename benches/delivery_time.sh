#!/usr/bin/env bash
# Delivery times of simulated marketplaces beside LightGBM's quantile loss on the same features: benches/delivery_time.sh [scale] [seeds]
# The latest 15 % of the parcels are judged (pinball loss in minutes, mean over 10, 50 and 90 %); LightGBM learns from the
# parcels that had arrived by then, with the better of two settings on the latest of them, without calibration and, as
# calibrated_…, with the same.
# Coverage is of the 90 % quantile in regions with 3,000 deliveries or more. Answers and updates are of one thread.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
python="$(benches/peers/install lightgbm==4.7.0)"
export PATH="$CARGO_TARGET_DIR/release:$(dirname "$python"):$PATH"
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
scale="${1:-medium}"
for seed in $(seq 1 "${2:-3}"); do
  delivery_time write "$folder/table" --scale "$scale" --seed "$seed"
  python3 benches/compare.py --name "delivery-time-$scale-$seed" --runs 1 --no-warmup --peer-version "LightGBM 4.7.0" \
    --note "pinball loss in minutes, coverage by region" --dhow "delivery_time judge --scale $scale --seed $seed" \
    --peer "python benches/peers/delivery_time.py $folder/table"
done
