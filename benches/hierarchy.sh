#!/usr/bin/env bash
# Reconciliation of 28 days of a structure of 15,055 nodes (products × regions, with categories and sellers) beside
# hierarchicalforecast: benches/hierarchy.sh [runs]. A seed generates base forecasts and 100 days of residuals. Structural and
# variance weights (the peer takes variances about the mean), and the bound of zero; MinT-shrink, whose peer keeps dense matrices, at 1,755 nodes beside it
# and at 15,055 alone. Both sides print the sum of squares of the result, so that equal answers show.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-hierarchy --example reconcile --quiet
python="$(benches/peers/install hierarchicalforecast==1.5.3)"
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH"
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
reconcile generate "$folder/large" 2840
reconcile generate "$folder/small" 180
runs="${1:-3}"
export RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
# beside KIND SIZE: the pair in turn, on one core.
beside() {
  python3 benches/compare.py --name "hierarchy-$1-$2" --runs "$runs" --no-warmup --peer-version "hierarchicalforecast 1.5.3" \
    --note "28 steps; reconcile_s leaves loading out; one thread" --dhow "taskset -c 0 reconcile $1 $folder/$2" \
    --peer "taskset -c 0 python benches/peers/hierarchy.py $1 $folder/$2"
}
beside structural large
beside variances large
beside not_negative large
beside shrunk small
python3 benches/compare.py --name hierarchy-shrunk-large --runs "$runs" --no-warmup \
  --note "28 steps, 100 residuals; one thread" --dhow "taskset -c 0 reconcile shrunk $folder/large"
