#!/usr/bin/env bash
# Updates, reads, memory and snapshot of the linked-entity index at ten million links, on one core:
# benches/links.sh [runs]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
export PATH="$CARGO_TARGET_DIR/release:$PATH"
python3 benches/compare.py --name links --runs "${1:-3}" --dhow "taskset -c 0 links"
