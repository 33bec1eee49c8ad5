#!/usr/bin/env bash
# A backtest of 1,000,000 generated decisions under 30 rules over 60 features, on one core and on all, beside the same decisions
# one by one: benches/rules.sh [runs]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
export PATH="$CARGO_TARGET_DIR/release:$PATH"
python3 benches/compare.py --name rules-backtest-one-core --runs "${1:-5}" --dhow "env RAYON_NUM_THREADS=1 taskset -c 0 rules"
python3 benches/compare.py --name rules-backtest --runs "${1:-5}" --dhow rules
