#!/usr/bin/env bash
# A restart of the online features from a snapshot of 2,000,000 keys of up to 1 KB, the disk warm: benches/restart.sh [runs]
# Takes 4 GB of memory and 2 GB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export PATH="$CARGO_TARGET_DIR/release:$PATH"
compare="$PWD/benches/compare.py"
cd "$work"
restart make
python3 "$compare" --name restart --runs "${1:-5}" \
  --note "load_s is the restart; keys have 1 to 24 payments each, all read from one snapshot, which was read once before" \
  --dhow "restart load"
