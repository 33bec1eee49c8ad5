#!/usr/bin/env bash
# Rings of the simulated marketplace flagged within three checkouts of forming, and honest people flagged, over ten seeds:
# benches/rings.sh [scale]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
export PATH="$CARGO_TARGET_DIR/release:$PATH"
python3 benches/compare.py --name rings --runs 1 --dhow "rings --scale ${1:-small}"
