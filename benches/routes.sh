#!/usr/bin/env bash
# Vehicle routing beside HGS-CVRP, PyVRP and VROOM: benches/routes.sh [ROW …], all rows of benches/routes.py without any;
# benches/routes.sh --samples names each row's instances, --alone measures no peers. DHOW_DATA_DIR names the data folder, ROUTES_CORE the core (0).
# The large X instances (800 stops and more) and ORTEC's are read from the folders that ROUTES_CVRP_X_LARGE and ROUTES_ORTEC name.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
cargo build --release -p dhow-routes --example solve --quiet
python="$(benches/peers/install pyvrp==0.14.1 hygese==0.1.0 pyvroom==1.15.2)"
export PATH="$CARGO_TARGET_DIR/release/examples:$PATH"
exec "$python" benches/routes.py "$@"
