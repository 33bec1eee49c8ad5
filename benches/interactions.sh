#!/usr/bin/env bash
# Personal quality beside implicit's ALS, BM25 neighbours and EASE: benches/interactions.sh [trials] [amazon_toys|lastfm …].
# All read the same split files; every model is tuned on the same validation part, trials (20) draws each, and judged once.
# The blend is judged without attributes (what the peers know) and with them. Takes an hour of one core on Amazon Toys,
# nearly all of it the 22 inversions of EASE on the peers' side.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
trials="${1:-20}"
[ $# -eq 0 ] || shift
cargo build --release -p dhow-factors --example factors --quiet
python="$(benches/peers/install implicit==0.7.3)"
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH"
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
for set in "${@:-amazon_toys lastfm}"; do for name in $set; do
  [ -d "$DHOW_DATA_DIR/interactions/$name" ] || { echo "SKIPPED: quality on $name: data folder absent"; continue; }
  file="$(ls "$DHOW_DATA_DIR/interactions/$name/"*.txt)"
  parts="$folder/$name"
  factors split "$file" "$parts"
  python3 benches/compare.py --name "interactions-$name" --runs 1 --no-warmup --peer-version "implicit 0.7.3, EASE by numpy" \
    --note "Recall@20 and NDCG@20 of the last fifth and of the last item; $trials trials a model; no attributes" \
    --dhow "factors quality $file $trials,$trials $parts/ours" \
    --peer "python benches/peers/interactions.py tune $parts $trials $parts/theirs"
  python3 benches/compare.py --name "interactions-$name-attributes" --runs 1 --no-warmup --peer-version "implicit 0.7.3" \
    --note "the blend with attributes; the peer's side: the lift of the blend without them, with intervals" \
    --dhow "factors quality $file $trials,$trials $parts/ours_attributes ${file%.txt}_item2attributes.json" \
    --peer "python benches/peers/interactions.py lift $parts/ours $parts/theirs"
  for cold in cold cold-known; do
    python3 benches/compare.py --name "interactions-$name-$cold" --runs 1 --no-warmup \
      --note "items held out of training, ranked among themselves, beside the most similar attributes; known: what is reached where others are seen to take them" \
      --dhow "factors $cold $file ${file%.txt}_item2attributes.json"
  done
done; done
