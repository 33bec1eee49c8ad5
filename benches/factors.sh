#!/usr/bin/env bash
# Personal recommender beside implicit: benches/factors.sh [runs]. Fit, exact fit, top lists and fold-in on generated
# histories; with DHOW_DATA_DIR also quality on Amazon Toys and LastFM, every model tuned on the same validation part.
# implicit is installed from PyPI into a folder of its own. Both sides use one thread; fit_cpu_s and the like exclude
# loading. Quality: 20 trials a model, once.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-factors --example factors --quiet
python="$(benches/peers/install implicit==0.7.3)"
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH"
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
data="$folder/histories"
factors generate "$data"
beside() {
  python3 benches/compare.py --name "factors-$1" --runs "$2" --no-warmup --peer-version "implicit 0.7.3" --note "$3" \
    --dhow "$4" --peer "$5"
}
peer="python benches/peers/implicit_factors.py"
beside fit "${1:-5}" "fit_cpu_s is the figure; implicit by conjugate gradients" "factors fit $data" "$peer fit $data"
beside fit-exact "${1:-5}" "fit_cpu_s is the figure; implicit by Cholesky" "factors fit $data" "$peer fit-exact $data"
beside top "${1:-5}" "people_per_cpu_s is the figure" "factors top $data" "$peer top $data"
for threads in 1 2; do
  beside "fold-in-$threads" "${1:-5}" "a new person's factors and the best 20 of a tenth of the items; $threads threads" \
    "factors fold-in $data $threads" "$peer fold-in $data $threads"
done
for set in amazon_toys/Toys_and_Games lastfm/LastFM; do
  file="$DHOW_DATA_DIR/interactions/$set"
  [ -f "$file.txt" ] || { echo "SKIPPED: quality on $set: data folder absent"; continue; }
  beside "quality-$(basename "$set")" 1 "Recall@20 and NDCG@20 of the last fifth; 20 trials a model on the validation part" \
    "factors quality $file.txt 20 ${file}_item2attributes.json" "$peer tune $file.txt 20"
done
