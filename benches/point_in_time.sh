#!/usr/bin/env bash
# Point-in-time features and as-of joins of 200,000 points over 2,000,000 events beside DuckDB and Polars, on one core:
# benches/point_in_time.sh [runs]. Both sides read Parquet and are whole processes.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
python="$(benches/peers/install duckdb==2.0.0 polars==2.1.0 numpy==2.4.6)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$python" benches/peers/point_in_time.py make "$work"
cp benches/peers/windows.toml benches/peers/as_of.toml benches/peers/point_in_time.py "$work"
export PATH="$CARGO_TARGET_DIR/release:$(dirname "$python"):$PATH" RAYON_NUM_THREADS=1 POLARS_MAX_THREADS=1 PEER_THREADS=1
compare="$PWD/benches/compare.py"
cd "$work"
compute="taskset -c 0 dhow features compute --events events.parquet --time at --spine points.parquet --json"
python3 "$compare" --name point-in-time-windows --runs "${1:-5}" --peer-version "duckdb 2.0.0" \
  --note "dhow: windows of 1 h, 1 d, 7 d and 30 d, count, sum and mean of each; duckdb: the one window of 7 d" \
  --dhow "$compute --definitions windows.toml --out out.parquet" --peer "taskset -c 0 python point_in_time.py duckdb_windows ."
for peer in "polars 2.1.0" "duckdb 2.0.0"; do
  python3 "$compare" --name "as-of-${peer%% *}" --runs "${1:-5}" --peer-version "$peer" \
    --note "the latest amount before each point" \
    --dhow "$compute --definitions as_of.toml --out out.parquet" --peer "taskset -c 0 python point_in_time.py ${peer%% *}_as_of ."
done
