#!/usr/bin/env bash
# Session predictions beside Serenade on Diginetica and Yoochoose 1/64, each on one thread: benches/sessions.sh [runs]
# DHOW_SERENADE names a program around Serenade's own index and `predict`, called as
#   PROGRAM FOLDER MOST_RECENT_SESSIONS NEIGHBOURS LAST_ITEMS IDF_WEIGHT
# It reads FOLDER/train.tsv (header; session, item, time) and FOLDER/cases.txt (a line a case: the next item, then the
# session so far), predicts 20 items for every case once to warm up and once counted, and prints
#   RESULT {"predictions", "prediction_cpu_s", "predictions_per_cpu_s", "latency_us_p50", "latency_us_p99", "hit_rate_20", "mrr_20"}
# Without it our side is measured alone. Both sides never answer the current item. Twice: Serenade with the settings of its
# evaluation (1,500 sessions, 500 neighbours, 3 items) beside our tuned ones, and with those of its example (500, 50, 2)
# beside few neighbours here. Then the live index: with a delta, and while merges run.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-sessions --example speed --quiet
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
compare="$PWD/benches/compare.py"
export PATH="$CARGO_TARGET_DIR/release/examples:${DHOW_SERENADE:+$(dirname "$(realpath "$DHOW_SERENADE")"):}$PATH"
cd "$folder"
for set in diginetica yoochoose1_64; do
  mkdir "$set"
  speed write "$set" "$set"
  beside() {
    local peer=()
    [ -z "${DHOW_SERENADE:-}" ] || peer=(--peer-version "serenade 0.3.1" --peer "$(basename "$DHOW_SERENADE") $set $4")
    python3 "$compare" --name "sessions-$set-$1" --runs "$2" --no-warmup --dhow "speed predict $set $3" "${peer[@]}" \
      --note "predictions_per_cpu_s, latencies and mrr_20 are the figures; reading and indexing are outside them"
  }
  beside tuned "${1:-5}" "" "1500 500 3 1"
  beside small "${1:-5}" "100 150 3" "500 50 2 1"
  python3 "$compare" --name "sessions-$set-live" --runs "${1:-5}" --no-warmup --dhow "speed live $set" \
    --note "the last twentieth of training arrived click by click; then the same while merges run on another thread"
done
