#!/usr/bin/env bash
# Relevance of search on known items, beside plain BM25 of bm25s; ours by words, by meaning and by both, with intervals, and on
# simulated queries that share no word with the titles: benches/search.sh [seed]
# The data is found through DHOW_DATA_DIR; the settings are those that serve.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
[ -d "$DHOW_DATA_DIR/catalog_match" ] || { echo "SKIPPED: search: data folder absent"; exit 0; }
cargo build --release --quiet
python="$(benches/peers/install bm25s==0.3.16)"
export PATH="$CARGO_TARGET_DIR/release:$(dirname "$python"):$PATH"
python3 benches/compare.py --name search-known-items --runs 1 --no-warmup --peer-version "bm25s 0.3.16" \
  --dhow "dhow evaluate search --data $DHOW_DATA_DIR/catalog_match --embedder $DHOW_DATA_DIR/models/minilm_int8 --seed ${1:-7} --json" \
  --peer "python benches/peers/search.py $DHOW_DATA_DIR/catalog_match" \
  --note "NDCG@10 and recall@10 of known items; embedding the catalogues is nearly all of our time"
