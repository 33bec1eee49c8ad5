#!/usr/bin/env bash
# Matrix factorisation beside implicit: benches/factors.sh [runs]. Fit (a few steps a row, and exact), top-20 for everybody
# and fold-in with a filter, on histories that a seed generates (50 k people, 20 k items, 747 k pairs); first on one
# thread and core, then on two. Both sides fit the same loss and print it, with NDCG@20 of the last item of each history.
# implicit is installed from PyPI into a folder of its own. fit_cpu_s and the like leave loading out.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-factors --example factors --quiet
python="$(benches/peers/install implicit==0.7.3)"
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH"
export OPENBLAS_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
data="$folder/histories"
factors generate "$data"
runs="${1:-5}"
# beside NAME THREADS NOTE DHOW-COMMAND PEER-COMMAND: the pair in turn, on as many cores as threads.
beside() {
  export RAYON_NUM_THREADS="$2" OMP_NUM_THREADS="$2"
  python3 benches/compare.py --name "factors-$1-$2" --runs "$runs" --no-warmup --peer-version "implicit 0.7.3" \
    --note "$3; threads on both sides: $2" --dhow "taskset -c 0-$(($2 - 1)) factors $4 $data" \
    --peer "taskset -c 0-$(($2 - 1)) python benches/peers/implicit_factors.py $5 $data $2"
}
for threads in 1 2; do
  beside fit "$threads" "fit_cpu_s is the figure; conjugate gradients on both sides, three steps a row" fit fit
  beside fit-exact "$threads" "fit_cpu_s is the figure; exact solves on both sides" fit-exact fit-exact
  beside top "$threads" "people_per_cpu_s is the figure; the best 20 without what was seen, exact" top top
  beside fold-in "$threads" "a new person's factors and the best 20 of a tenth of the items" "fold-in" "fold-in"
done
