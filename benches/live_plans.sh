#!/usr/bin/env bash
# Plans under way: benches/live_plans.sh [STOPS] [ORDERS]: orders inserted one by one into a plan of STOPS stops, and the plan
# made anew in 270 ms with a price on moved stops. Times are by the clock, which wants a quiet machine, and of CPU. Every plan is
# checked, and a wrong one fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
stops="${1:-1000}"
cargo build --release -p dhow-routes --example live --quiet
export PATH="$CARGO_TARGET_DIR/release/examples:$PATH"
python3 benches/compare.py --name "live-plans-$stops" --runs 3 --no-warmup --dhow "taskset -c 0 live --stops $stops --orders ${2:-100}"
