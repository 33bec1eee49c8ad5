#!/usr/bin/env bash
# Tumbling and sliding windows over a stream beside Bytewax, each on one core: benches/windows.sh [runs]
# Bytewax is installed from PyPI into a folder of its own. Its share of the events is smaller, since it takes as long.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
python="$(benches/peers/install bytewax==0.21.1)"
export PATH="$CARGO_TARGET_DIR/release:$(dirname "$python"):$PATH"
for kind in tumbling sliding; do
  [ "$kind" = tumbling ] && share=200000 || share=60000
  python3 benches/compare.py --name "windows-$kind" --runs "${1:-5}" --peer-version "bytewax 0.21.1" \
    --note "events_per_s of each side's own fold is the figure: dhow folds 2,000,000 payments, bytewax $share" \
    --dhow "taskset -c 0 windows --windows $kind --events 2000000 --keys 1000 --per-second 1000" \
    --peer "taskset -c 0 python benches/peers/bytewax_windows.py $kind $share 1000 1000"
done
