#!/usr/bin/env bash
# Fraud scores on simulated marketplaces with 0.3 % fraud whose truth is known, three seeds of a year and about 110,000
# checkouts to judge each: benches/simulated_fraud.sh [arguments of the program]
# `gap_closed` is the way from logistic regression's recall at 0.03 % false positives to that of an oracle who sees the
# traits that checkouts are drawn with; `money` compares thresholds by cost with the one of best F1, both chosen on
# validation rows.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release --workspace --quiet
export PATH="$CARGO_TARGET_DIR/release:$PATH"
python3 benches/compare.py --name simulated-fraud --runs 1 --no-warmup --dhow "simulated_fraud $*" \
  --note "recall at 0.03 % false positives, logistic regression, trees and oracle, mean over seeds, under pooled"
