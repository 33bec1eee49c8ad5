#!/usr/bin/env bash
# MiniLM int8 on texts and EfficientNet-Lite0 on an image, one thread each, beside ONNX Runtime, answers compared: benches/embeddings.sh [texts] [runs]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
texts="${1:-1000}" runs="${2:-3}" onnxruntime=1.31.0
cargo build --release --workspace --quiet
python="$(benches/peers/install "onnxruntime==$onnxruntime" tokenizers numpy)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
ln -s "$DHOW_DATA_DIR/models" "$work/models"
peer="$python $PWD/benches/peers/embeddings.py" compare="$PWD/benches/compare.py"
$peer prepare "$work/models" "$DHOW_DATA_DIR/catalog_match" "$texts" "$work"
export PATH="$CARGO_TARGET_DIR/release:$PATH"
cd "$work"
python3 "$compare" --name embeddings --runs "$runs" --peer-version "onnxruntime $onnxruntime" \
  --note "one thread; one short text with its tokens cut, and one image of 224 × 224; $texts texts compared" \
  --dhow "embeddings --models models --texts texts.txt --image image.f32 --answers answers.json" \
  --peer "$peer run models $work"
