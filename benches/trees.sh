#!/usr/bin/env bash
# Boosted trees beside LightGBM, XGBoost and ONNX Runtime: benches/trees.sh [runs]. Training 67,000 rows of 15 features
# (a seed generates them), 200 trees of depth 5, with average precision on rows held out, on one thread and core, then on
# two; one row through 100 trees of depth 6; one row's margin and reasons, 200 trees of depth 6. All sides get the same
# settings. The peers are installed from PyPI into a folder of their own. fit_cpu_s leaves loading out, and latencies of the
# peers are those that a caller in Python sees.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-trees --example trees --quiet
python="$(benches/peers/install lightgbm==4.7.0 xgboost==3.2.0 onnxruntime==1.31.1 onnxmltools==1.16.0)"
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH"
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
data="$folder/table"
trees generate "$data"
runs="${1:-5}"
# beside WHAT PEER VERSION THREADS NOTE: the pair in turn, on as many cores as threads.
beside() {
  export RAYON_NUM_THREADS="$4" OMP_NUM_THREADS="$4"
  python3 benches/compare.py --name "trees-$1-$2-$4" --runs "$runs" --no-warmup --peer-version "$3" \
    --note "$5; threads on both sides: $4" --dhow "taskset -c 0-$(($4 - 1)) trees $1 $data" \
    --peer "taskset -c 0-$(($4 - 1)) python benches/peers/trees.py $1 $2 $data $4"
}
for threads in 1 2; do
  beside train lightgbm "LightGBM 4.7.0" "$threads" "fit_cpu_s and ap are the figures"
  beside train xgboost "XGBoost 3.2.0" "$threads" "fit_cpu_s and ap are the figures"
done
beside predict lightgbm "LightGBM 4.7.0" 1 "latency of one row, 100 trees of depth 6"
beside predict onnxruntime "ONNX Runtime 1.31.1" 1 "latency of one row, 100 trees of depth 6"
beside reasons lightgbm "LightGBM 4.7.0" 1 "latency of one row's margin and reasons, 200 trees of depth 6; sum is the largest error of a sum"
