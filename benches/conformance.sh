#!/usr/bin/env bash
# The suite for servers of the Open Inference Protocol, on Dhow and beside it on MLServer: benches/conformance.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
mlserver=1.7.1 tritonclient=2.73.0 onnx=1.19.0
cargo build --release --quiet
client="$(benches/peers/install "onnx==$onnx" "tritonclient[http,grpc]==$tritonclient")"
server="$(benches/peers/install "mlserver==$mlserver")"
work="$(mktemp -d)"
trap 'kill "${dhow_server:-}" "${peer_server:-}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
"$client" benches/peers/identities.py "$work/models"

dhow="$CARGO_TARGET_DIR/release/dhow"
names=()
for file in "$work"/models/onnx/*.onnx; do
  name="$(basename "$file" .onnx)"
  "$dhow" models --data-dir "$work/data" import "$file" --name "$name" --task custom --alias none --licence Apache-2.0 >/dev/null
  names+=(--load "$name")
done
DHOW_SERVER_REQUESTS_PER_SECOND=100000 "$dhow" serve --data-dir "$work/data" --bind 127.0.0.1:8097 --grpc-bind 127.0.0.1:8098 "${names[@]}" 2>"$work/dhow.log" &
dhow_server=$!
# MLServer finds the models and their Python below the folder that it starts in.
(cd "$work/models/mlserver" && PYTHONPATH="$PWD" exec "$(dirname "$server")/mlserver" start .) >"$work/mlserver.log" 2>&1 &
peer_server=$!
for url in http://127.0.0.1:8097/readyz http://127.0.0.1:8096/v2/health/ready; do
  for _ in $(seq 300); do curl -sf "$url" >/dev/null && break; sleep 0.2; done
  curl -sf "$url" >/dev/null || { cat "$work/dhow.log" "$work/mlserver.log"; exit 1; }
done
suite="serving/inference/conformance/conformance.py"
python3 benches/compare.py --name conformance --runs 1 --no-warmup --peer-version "MLServer $mlserver" \
  --note "cases of $suite by tritonclient $tritonclient over HTTP and gRPC; models that give back what they are given" \
  --dhow "$client benches/peers/conformance.py $suite 127.0.0.1:8097 127.0.0.1:8098" \
  --peer "$client benches/peers/conformance.py $suite 127.0.0.1:8096 127.0.0.1:8095"
