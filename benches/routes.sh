#!/usr/bin/env bash
# Vehicle routing beside HGS-CVRP and PyVRP: benches/routes.sh FAMILY [CPU_SECONDS] [SEEDS]. FAMILY is a folder of routing
# instances (cvrp_x, gehring_homberger/homberger_200, gehring_homberger/homberger_400, solomon, hfvrp, mdvrptw, pcvrptw,
# vrpb); every k-th file by name is taken, ten to fifteen of them, for so many CPU seconds each on one core, once for each
# seed 1 .. SEEDS. FAMILY generated-1000 (or any other number of stops) is four instances by routes_generate.py. Both sides stop
# by their CPU time; Dhow's plans are checked, and a wrong one fails the run. Gaps are to the `.sol` files beside the instances,
# under the family's rounding; without such files, costs are compared. DHOW_DATA_DIR names the data folder.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/environment
family="$1"
seconds="${2:-10}"
seeds="${3:-3}"
cargo build --release -p dhow-routes --example solve --quiet
folder="${DHOW_DATA_DIR:-../shared/data}/routes/$family"
if [[ "$family" == generated-* ]]; then
  folder="$CARGO_TARGET_DIR/$family"
  stops="${family#generated-}"
  python3 benches/routes_generate.py "$folder" "$stops" "$stops" "$stops" "$stops"
fi
mapfile -t all < <(find "$folder" -maxdepth 1 \( -name '*.vrp' -o -name '*.txt' \) | sort)
[ "${#all[@]}" -gt 0 ] || { echo "SKIPPED: no instances in $folder" >&2; exit 0; }
step=$((${#all[@]} > 15 ? (${#all[@]} + 9) / 10 : 1))
files=()
for ((at = 0; at < ${#all[@]}; at += step)); do files+=("${all[at]}"); done
python="$(benches/peers/install pyvrp==0.14.1 hygese==0.1.0)"
export PATH="$CARGO_TARGET_DIR/release/examples:$(dirname "$python"):$PATH"
peers=("pyvrp PyVRP-0.14.1")
[ "$family" != cvrp_x ] || peers+=("hgs HGS-CVRP-hygese-0.1.0")
for peer in "${peers[@]}"; do
  read -r name version <<<"$peer"
  for ((seed = 1; seed <= seeds; seed++)); do
    python3 benches/compare.py --name "routes-${family//\//-}-${seconds}s-$name" --runs 1 --no-warmup \
      --peer-version "$version" --note "seed $seed; every ${step}. file by name; $seconds CPU seconds a file on both sides" \
      --dhow "taskset -c 0 solve --cpu-seconds $seconds --seed $seed ${files[*]}" \
      --peer "taskset -c 0 python benches/peers/routes.py $name $seconds $seed ${files[*]}"
  done
done
