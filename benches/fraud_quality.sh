#!/usr/bin/env bash
# Fraud models beside those of the Fraud Detection Handbook, and of LightGBM and XGBoost: benches/fraud_quality.sh [seeds]
# `handbook`: eleven test weeks from 13 May to 28 July 2018, each learned on the days before a label delay of seven days, cards known
# to be compromised left out as in the book; AUC, AP and CardPrecision@100. Both sides' settings were chosen on weeks that end
# by 12 May. `cards`: the ULB table, tested on its last fifth, settings chosen on the fifth before it, over seeds.
# The data is found through DHOW_DATA_DIR; peers are installed from PyPI into a folder of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-fraud --example fraud_quality --quiet
python="$(benches/peers/install lightgbm==4.7.0 xgboost==3.2.0 scikit-learn pandas pyarrow)"
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH"
data="${DHOW_DATA_DIR:-../shared/data}/fraud"
boosting="min_child_weight=2.0 l2=5.0 feature_share=0.3 max_leaves=8"
weeks="42 49 56 63 70 77 84 91 98 105 112"
python3 benches/compare.py --name fraud-quality-handbook --runs 1 --no-warmup --peer-version "lightgbm 4.7.0" \
  --note "the means over weeks are the figures; perfect CardPrecision@100 beside each" \
  --dhow "fraud_quality handbook $data/handbook_2018_04_07.parquet features/handbook_tuned.toml 28 $weeks $boosting" \
  --peer "python benches/peers/fraud_quality.py handbook $data/handbook_2018_04_07.parquet $weeks"
python3 benches/compare.py --name fraud-quality-cards --runs 1 --no-warmup --peer-version "lightgbm 4.7.0" \
  --note "average precision on the last fifth, four settings tried on each side, over seeds" \
  --dhow "fraud_quality cards $data/creditcard_first80.parquet ${1:-5}" \
  --peer "python benches/peers/fraud_quality.py cards $data/creditcard_first80.parquet ${1:-5}"
