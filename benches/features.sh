#!/usr/bin/env bash
# Events per second from the log to the online features on one core: benches/features.sh DATA_FOLDER [runs]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
python3 benches/compare.py --name log-to-features --runs "${2:-5}" --dhow "taskset -c 0 $CARGO_TARGET_DIR/release/fold $1/log"
