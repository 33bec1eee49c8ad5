#!/usr/bin/env bash
# Quantiles and the most frequent values over four windows of 2,000,000 events of 500 keys, at 200,000 points, in process
# on one core: benches/sweep.sh [runs]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
export PATH="$CARGO_TARGET_DIR/release:$PATH" RAYON_NUM_THREADS=1
python3 benches/compare.py --name sweep-quantiles --runs "${1:-5}" --dhow "taskset -c 0 sweep --of-product ''"
python3 benches/compare.py --name sweep-top --runs "${1:-5}" --dhow "taskset -c 0 sweep --of-amount ''"
