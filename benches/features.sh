#!/usr/bin/env bash
# Events per second from the log to the online features on one core: benches/features.sh DATA_FOLDER [runs]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
compare="$PWD/benches/compare.py"
# The archived command names none of this machine's folders.
export PATH="$CARGO_TARGET_DIR/release:$PATH"
cd "$1"
python3 "$compare" --name log-to-features --runs "${2:-5}" --dhow "taskset -c 0 fold log"
