#!/usr/bin/env bash
# Off-policy estimates beside Open Bandit Pipeline on one generated log: benches/off_policy.sh [runs]. It fails where an
# estimate differs by more than 1e-6. Then how often the 95 % intervals hold the truth of a known world.
# OBP asks for an older Python than its estimators need, so it is installed without its dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-experiments --example off_policy --quiet
python="$(benches/peers/install obp==0.5.7 --no-deps --ignore-requires-python)"
"$python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 pandas==3.1.1
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH" OPENBLAS_NUM_THREADS=1
folder="$(mktemp -d)"
trap 'rm -r "$folder"' EXIT
off_policy generate "$folder/log.json" 20000 2000
off_policy estimate "$folder/log.json" > "$folder/answers"
python3 benches/compare.py --name off-policy --runs "${1:-1}" --no-warmup --peer-version "obp 0.5.7" \
  --note "the same 20,000 choices of 8 products and 2,000 slates of 4; largest_difference is that of the estimates, which must be 1e-6 or less" \
  --dhow "off_policy estimate $folder/log.json" \
  --peer "python benches/peers/obp_estimators.py $folder/log.json $folder/answers"
python3 benches/compare.py --name off-policy-coverage --runs 1 --no-warmup \
  --note "the share of 2,000 logs of 1,000 slates whose 95 % interval holds the truth" --dhow "off_policy coverage 2000 1000"
