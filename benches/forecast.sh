#!/usr/bin/env bash
# Forecasting methods of one series beside statsforecast's: benches/forecast.sh [every] (every so many-th M3 monthly series, 3).
# ETS, CES, dynamic optimised Theta and their median on M3 monthly; MSTL on hourly series of five seeds; rare demand on car
# parts. One thread on both sides; cpu_ms is a series' fit and forecast, as each side counts its own thread, without loading.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
every="${1:-3}"
cargo build --release -p dhow-univariate --examples --quiet
python="$(benches/peers/install statsforecast==2.1.1 pyarrow==26.0.1)"
judge="$CARGO_TARGET_DIR/release/examples/judge"
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
peer() { "$python" benches/peers/forecast.py "$@" >/dev/null; }
# beside NAME NOTE DHOW PEER: one run of each.
beside() {
  python3 benches/compare.py --name "forecast-$1" --runs 1 --no-warmup --peer-version "statsforecast 2.1.1" --note "$2" \
    --dhow "$3" --peer "$python benches/peers/forecast.py $4"
}
data="$DHOW_DATA_DIR/forecast"
for set in m3 m1 tourism; do peer lines "$data/$set.parquet" "$folder/$set.txt"; done
peer lines "$data/carparts.parquet" "$folder/carparts.txt" 12
for period in monthly quarterly; do
  for set in m3 m1 tourism; do
    beside "$set-$period" "every ${every}th series; figures are means over series; learned has seen these sets" \
      "$judge $folder/$set.txt --period $period --every $every --methods naive2,ets,ces,dotm,auto_theta,median,learned" \
      "competition $data/$set.parquet $period $every"
  done
done
for seed in 1 2 3 4 5; do
  peer generate-hourly "$folder/hourly.parquet" "$seed"
  peer lines "$folder/hourly.parquet" "$folder/hourly.txt"
  beside "hourly-$seed" "a day and a week, 48 hours ahead, seed $seed" \
    "$judge $folder/hourly.txt --methods naive2,mstl" "hourly $folder/hourly.parquet"
done
beside carparts "12 months ahead; quantiles of both sides are normal around the point" \
  "$judge $folder/carparts.txt --methods naive2,croston,croston_optimised,croston_sba,tsb,adida,imapa" \
  "intermittent $data/carparts.parquet 12 1"
# Leave one data set out: the learned combination beside the median of three.
"$CARGO_TARGET_DIR/release/examples/learn" --ridge 0.0001 "$folder/m3.txt" "$folder/m1.txt" "$folder/tourism.txt" >/dev/null
