#!/usr/bin/env bash
# Historical features of 20,000 points over 200,000 rows beside Feast's local file store, on one core, and whether both
# give the same values: benches/historical.sh [runs]. Both sides read Parquet. `seconds` is Dhow's work in the process,
# with reading and writing files; `query_s` is Feast's `get_historical_features().to_df()`, without imports.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
python="$(benches/peers/install feast==0.67.0)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export FEAST_USAGE=False RAYON_NUM_THREADS=1 PATH="$CARGO_TARGET_DIR/release:$(dirname "$python"):$PATH"
cp benches/peers/historical.toml benches/peers/feast_historical.py "$work"
compare="$PWD/benches/compare.py"
cd "$work"
python feast_historical.py make .
python3 "$compare" --name historical-features --runs "${1:-5}" --peer-version "feast 0.67.0" \
  --note "three columns, the latest values before each point; figures: dhow's seconds (files read and written) beside feast's query_s (imports left out)" \
  --dhow "taskset -c 0 dhow features compute --events events.parquet --time at --spine points.parquet --json --definitions historical.toml --out out.parquet" \
  --peer "taskset -c 0 python feast_historical.py features ."
python feast_historical.py compare .
