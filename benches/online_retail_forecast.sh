#!/usr/bin/env bash
# Forecasts of Online Retail on three consecutive origins of 28 days, WRMSSE over total, country, product and pairs:
# benches/online_retail_forecast.sh FILE.parquet. Beside bottom-up AutoETS, the median of three of statsforecast, reconciled alike,
# and LightGBM on the same rows and features. The peers' AutoETS of 45,000 series takes about an hour of one core. Every
# judgement is archived as a run of its own; `method` names the ways in its output, which is also printed.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-forecast --example online_retail --quiet
python="$(benches/peers/install statsforecast==2.1.1 lightgbm==4.7.0 pyarrow pandas)"
export PATH="$CARGO_TARGET_DIR/release/examples:$PATH" OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 RAYON_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
"$python" benches/peers/online_retail_forecast.py prepare "$1" "$folder"
for back in 84 56 28; do
  online_retail export "$folder" "$back"
  "$python" benches/peers/online_retail_forecast.py statsforecast "$folder" "$back"
  "$python" benches/peers/online_retail_forecast.py lightgbm "$folder" "$back"
  online_retail judge "$folder" "$back" | tee "$folder/judged-$back"
  python3 benches/compare.py --name "online-retail-forecast-$back" --runs 1 --no-warmup --peer-version "statsforecast 2.1.1, LightGBM 4.7.0" \
    --note "$(sed 's/RESULT //' "$folder/judged-$back" | tr '\n' ' ')" --dhow "online_retail judge $folder $back"
done
