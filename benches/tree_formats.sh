#!/usr/bin/env bash
# Whether forests written as ONNX reach LightGBM's leaves in ONNX Runtime: benches/tree_formats.sh [rows]. Four models of 60
# trees with categories and each kind of missing values, on f32 rows on thresholds, up to two steps beside them, and on
# odd values; prints the leaves that differ (none may) and the largest difference of margins. Peers come from PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-trees --example forest_to_onnx --quiet
python="$(benches/peers/install lightgbm==4.7.0 onnx==1.23.2 onnxruntime==1.31.1)"
"$python" benches/peers/tree_formats.py "$CARGO_TARGET_DIR/release/examples/forest_to_onnx" "${1:-200000}"
