"""Vehicle routing beside its peers, one archived run a row: routes.py ROW … (see ROWS; benches/routes.sh installs what it needs).

A row is a sample of a family of instances (every k-th by name), a time, seeds and peers. Every solver gets one core and the same CPU
seconds, file after file and seed after seed in turn, so that a machine whose speed drifts treats all alike. Dhow's plans are
checked by its independent checker, and a wrong one fails the run. Gaps are to the best known cost where the family has one, else to
the best that any solver found in the row, which the archive says.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import compare

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("DHOW_DATA_DIR", ROOT.parent / "shared" / "data")) / "routes"
MADE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "routes-made"
# Routes and distances of the sampled pickup and delivery instances as SINTEF's table of best known solutions has them.
LI_LIM_BEST = ROOT / "benches/routes_li_lim.csv"
VERSIONS = {"hgs": "HGS-CVRP by hygese 0.1.0", "pyvrp": "PyVRP 0.14.1", "vroom": "VROOM by pyvroom 1.15.2"}


# What is kept of an outcome beside its cost.
KEPT = ("vehicles", "mean_distance", "overrun_ms", "cpu_s", "peak_memory_mb")


@dataclass(frozen=True)
class Row:
    """What is measured: a folder, every `step`-th of its files from the `first` on that `holds` keeps, and how."""

    family: str
    step: int
    seconds: float
    seeds: int
    peers: tuple = ()
    vehicles_first: bool = False
    holds: str = ""
    first: int = 0


ROWS = {
    "x-10s": Row("cvrp_x", 12, 10, 3, ("hgs",)),
    "x-30s": Row("cvrp_x", 12, 30, 1, ("hgs",)),
    "x-800-30s": Row("cvrp_x_large", 6, 30, 1, ("pyvrp",)),
    "generated-6000-35s": Row("generated-6000", 1, 35, 1, ("pyvrp",)),
    "generated-30000-60s": Row("generated-30000", 1, 60, 1),
    "generated-10000-2s": Row("generated-10000", 1, 2, 3),
    "x-100-200ms": Row("cvrp_x", 1, 0.2, 3, ("vroom",), holds="X-n10 X-n11 X-n12"),
    "x-400-1s": Row("cvrp_x", 1, 1, 3, ("vroom",), holds="X-n37 X-n38 X-n39"),
    "x-1000-2s": Row("cvrp_x_large", 1, 2, 2, ("vroom",), holds="X-n95 X-n97 X-n1001"),
    "homberger-200-30s": Row("gehring_homberger/homberger_200", 16, 30, 1, ("pyvrp",)),
    "homberger-400-30s": Row("gehring_homberger/homberger_400", 16, 30, 1, ("pyvrp",), first=8),
    "windows-1000-30s": Row("windows-1000", 8, 30, 1, ("pyvrp",)),
    "solomon-10s": Row("solomon", 4, 10, 3),
    "li-lim-100-30s": Row("li_lim/li_lim_100", 7, 30, 1, vehicles_first=True),
    "li-lim-200-30s": Row("li_lim/li_lim_200", 8, 30, 1, vehicles_first=True),
    "homberger-200-vehicles-30s": Row("gehring_homberger/homberger_200", 10, 30, 1, vehicles_first=True),
    "homberger-400-vehicles-30s": Row("gehring_homberger/homberger_400", 10, 30, 1, vehicles_first=True),
    **{
        f"{family}-60s": Row(family, step, 60, 3, ("pyvrp",))
        for family, step in {"hfvrp": 7, "mdvrptw": 2, "mtvrptwr": 11, "pcvrptw": 4, "vrpb": 6, "ortec": 11}.items()
    },
}


def folder_of(family: str) -> Path:
    """Where the family's files are; generated ones are made when they are absent."""
    kind, _, stops = family.partition("-")
    made = MADE / family
    if kind == "generated":
        subprocess.run([sys.executable, ROOT / "benches/routes_generate.py", made, stops], check=True)
        return made
    if kind == "windows":
        subprocess.run([sys.executable, ROOT / "benches/routes_generate.py", made, "--unprized", DATA / "pcvrptw"], check=True)
        return made
    named = os.environ.get("ROUTES_" + family.upper())
    return Path(named) if named else DATA / family


def sample_of(row: Row) -> list[Path]:
    folder = folder_of(row.family)
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".vrp", ".txt") and file.name != "LICENSE")
    kept = [file for file in files if not row.holds or file.name.startswith(tuple(row.holds.split()))]
    return kept[row.first :: row.step]


def best_known(row: Row, file: Path) -> dict:
    """The best known cost, or vehicles and distance where vehicles come first."""
    if file.with_suffix(".sol").exists():
        lines = file.with_suffix(".sol").read_text().splitlines()
        cost = next(line.split()[-1] for line in lines if line.lower().startswith("cost"))
        # Some of this family's are in the published unit, the others, as the instances, in hundredths of thousandths.
        return {"cost": float(cost) * (1e5 if row.family == "hfvrp" and "." in cost else 1)}
    if row.family == "solomon":
        return {"cost": 1000 * json.loads((DATA / "solomon/BKS.json").read_text())[f"{file.stem}_distance"]["best_known_cost"]}
    if row.vehicles_first:
        tables = {"li_lim": LI_LIM_BEST, "gehring_homberger": DATA / "gehring_homberger/bks_sintef.csv"}
        with open(tables[row.family.split("/")[0]]) as table:
            for line in csv.DictReader(table):
                if line["instance"].lower() == file.stem.lower():
                    return {"vehicles": int(line["routes"]), "distance": 1000 * float(line["distance"])}
    return {}


def solved(solver: str, row: Row, file: Path, seed: int) -> dict:
    """One solver's outcome on one file."""
    if solver == "dhow":
        command = ["solve", "--cpu-seconds", str(row.seconds), "--seed", str(seed), *["--vehicles-first"] * row.vehicles_first]
    else:
        command = [sys.executable, str(ROOT / "benches/peers/routes.py"), solver, str(row.seconds), str(seed)]
    core = os.environ.get("ROUTES_CORE", "0")
    done = compare.measure(" ".join(["taskset", "-c", core, *command, str(file)]))
    if done.get("missed"):
        done["mean_cost"] = None
    return {"cost": done["mean_cost"], **{key: done[key] for key in KEPT if key in done}}


def gaps(row: Row, runs: list[dict]) -> dict:
    """Per solver: means over the files of the means over the seeds."""
    figures = {}
    for solver in runs[0]["outcomes"]:
        outcomes = [(run, run["outcomes"][solver]) for run in runs]
        solvable = [(run, outcome) for run, outcome in outcomes if outcome["cost"] is not None]
        figures[solver] = {
            "unsolved": len(outcomes) - len(solvable),
            "mean_cost": round(statistics.mean(outcome["cost"] for _, outcome in solvable), 1) if solvable else None,
            "peak_memory_mb": max(outcome["peak_memory_mb"] for _, outcome in outcomes),
        }
        if all("overrun_ms" in outcome for _, outcome in outcomes):
            figures[solver]["overrun_ms_max"] = max(outcome["overrun_ms"] for _, outcome in outcomes)
        if row.vehicles_first:
            known = [(run["best"], outcome) for run, outcome in solvable if "vehicles" in run["best"]]
            equal = [(best, outcome) for best, outcome in known if best["vehicles"] == outcome["vehicles"]]
            figures[solver] |= {
                "vehicles": sum(outcome["vehicles"] for _, outcome in known),
                "vehicles_best_known": sum(best["vehicles"] for best, _ in known),
                "vehicles_equal_percent": round(100 * len(equal) / len(known), 1),
                "vehicles_fewer": sum(best["vehicles"] > outcome["vehicles"] for best, outcome in known),
            }
            if equal:
                over = statistics.mean(outcome["mean_distance"] / best["distance"] - 1 for best, outcome in equal)
                figures[solver]["distance_gap_percent_where_equal"] = round(100 * over, 4)
        elif solvable:
            of = [100 * (outcome["cost"] / run["best"]["cost"] - 1) for run, outcome in solvable]
            figures[solver] |= {
                "mean_gap_percent": round(statistics.mean(of), 4),
                "worst_gap_percent": round(max(of), 4),
                "within_a_tenth_percent": sum(gap <= 0.1 for gap in of),
                "runs": len(of),
            }
    return figures


def measure(name: str, alone: bool) -> None:
    row = ROWS[name]
    peers = () if alone else row.peers
    files, solvers = sample_of(row), ["dhow", *peers]
    if not files:
        print(f"SKIPPED: {name}: no instances", file=sys.stderr)
        return
    runs = []
    for file in files:
        for seed in range(1, row.seeds + 1):
            outcomes = {solver: solved(solver, row, file, seed) for solver in solvers}
            runs.append({"file": file.stem, "seed": seed, "best": best_known(row, file), "outcomes": outcomes})
            print(name, file.stem, seed, runs[-1]["best"], {solver: outcome["cost"] for solver, outcome in outcomes.items()}, flush=True)
    reference = "best known"
    if not row.vehicles_first and any("cost" not in run["best"] for run in runs):
        reference = "the best of this row"
        for file in files:
            same = [run for run in runs if run["file"] == file.stem]
            best = min(o["cost"] for run in same for o in run["outcomes"].values() if o["cost"] is not None)
            for run in same:
                run["best"] = {"cost": best}
    figures = gaps(row, runs)
    for solver, of in figures.items():
        print(name, solver, "  ".join(f"{key} {value}" for key, value in of.items()))
    record = {
        "commands": {"dhow": f"benches/routes.sh {name}{' --alone' * alone}"},
        "note": f"{row.seconds} CPU seconds a file, one core; gaps to {reference}",
        "sample": [file.stem for file in files],
        "seeds": row.seeds,
        "peers": [VERSIONS[peer] for peer in peers],
        "figures": figures,
        "runs": runs,
    }
    print("archived as", os.path.relpath(compare.archive(f"routes-{name}", record)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--samples", action="store_true", help="print which files each row takes, and measure nothing")
    parser.add_argument("--alone", action="store_true", help="measure no peers")
    arguments = parser.parse_args()
    for name in arguments.rows or ROWS:
        if arguments.samples:
            print(name, *(file.stem for file in sample_of(ROWS[name])))
        else:
            measure(name, arguments.alone)


if __name__ == "__main__":
    main()
