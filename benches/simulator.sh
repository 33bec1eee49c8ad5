#!/usr/bin/env bash
# The simulator's speed on one core and its likeness to Online Retail: benches/simulator.sh ONLINE_RETAIL.parquet [runs]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
dhow="$CARGO_TARGET_DIR/release/dhow"
python3 benches/compare.py --name simulator-speed --runs "${2:-5}" --dhow "taskset -c 0 $dhow simulate --scale medium --format binary --out /dev/null --json"
python3 benches/compare.py --name simulator-shape --runs 1 --no-warmup --dhow "$dhow simulate --scale large --compare $1 --ceilings --json"
