"""The peers' side of benches/routes.sh: routes.py pyvrp|hgs|vroom CPU_SECONDS SEED FILE …

Prints a line per file and RESULT {json} with the mean cost and, where `.sol` files stand beside the instances, the mean gap.
Lengths are rounded as Dhow's readers round them: to the nearest integer, to thousandths, or to tenths truncated. VROOM, which
stops by the clock, searches as deep as it can; where that takes longer than the time, its cost is of what it had by then.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import vrplib

ROUNDING = {"mdvrptw": "exact", "hfvrp": "exact", "pcvrptw": "dimacs", "mtvrptwr": "dimacs", "windows-1000": "dimacs"}


class CpuTime:
    """Stops once the process has used so many CPU seconds since this was made."""

    def __init__(self, seconds):
        self.end = time.process_time() + seconds

    def __call__(self, _cost):
        return time.process_time() >= self.end


def solomon(file):
    """An instance in Solomon's format, in thousandths."""
    import pyvrp

    read = vrplib.read_instance(file, instance_format="solomon", compute_edge_weights=False)
    points = np.asarray(read["node_coord"], float)
    apart = np.hypot(points[:, None, 0] - points[None, :, 0], points[:, None, 1] - points[None, :, 1])
    legs = np.rint(apart * 1000).astype(np.int64)
    windows, service = np.asarray(read["time_window"]) * 1000, np.asarray(read["service_time"]) * 1000
    clients = [
        pyvrp.Client(
            location=i,
            delivery=[int(read["demand"][i])],
            service_duration=int(service[i]),
            tw_early=int(windows[i][0]),
            tw_late=int(windows[i][1]),
        )
        for i in range(1, len(points))
    ]
    fleet = pyvrp.VehicleType(
        int(read["vehicles"]), [int(read["capacity"])], tw_early=int(windows[0][0]), tw_late=int(windows[0][1])
    )
    places = [pyvrp.Location(x=int(x), y=int(y)) for x, y in points]
    return pyvrp.ProblemData(places, clients, [pyvrp.Depot(location=0)], [fleet], [legs], [legs])


def by_pyvrp(file, seconds, seed):
    import pyvrp

    if file.suffix == ".txt" and not file.read_text().startswith("NAME"):
        data = solomon(file)
    else:
        data = pyvrp.read(file, round_func=ROUNDING.get(file.parent.name, "round"))
    result = pyvrp.solve(data, stop=CpuTime(seconds), seed=seed, display=False)
    if not result.is_feasible():
        return None, 0
    return float(result.cost()), len(result.best.routes())


def by_hgs(file, seconds, seed):
    import hygese

    read = vrplib.read_instance(file, compute_edge_weights=False)
    points = np.asarray(read["node_coord"], float)
    data = {
        "x_coordinates": points[:, 0],
        "y_coordinates": points[:, 1],
        "demands": np.asarray(read["demand"], float),
        "vehicle_capacity": read["capacity"],
        "service_times": np.zeros(len(points)),
        "depot": 0,
    }
    settings = hygese.AlgorithmParameters(timeLimit=seconds, seed=seed, nbIter=1_000_000_000)
    result = hygese.Solver(parameters=settings, verbose=False).solve_cvrp(data, rounding=True)
    return float(result.cost), len(result.routes)


def by_vroom(file, seconds, _seed):
    import datetime

    import vroom

    read = vrplib.read_instance(file)
    problem = vroom.Input()
    legs = np.rint(read["edge_weight"]).astype(np.uint32)
    problem.set_durations_matrix("car", legs)
    count = 2 * int(np.ceil(read["demand"].sum() / read["capacity"]))
    problem.add_vehicle([vroom.Vehicle(i, start=0, end=0, capacity=[int(read["capacity"])]) for i in range(count)])
    problem.add_job([vroom.Job(i, location=i, delivery=[int(read["demand"][i])]) for i in range(1, len(legs))])
    solution = problem.solve(exploration_level=5, nb_threads=1, timeout=datetime.timedelta(seconds=seconds))
    if solution.summary.unassigned:
        return None, 0
    return float(solution.summary.cost), int(solution.summary.routes)


def main():
    peer, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    files = [Path(name) for name in sys.argv[4:]]
    solve = {"pyvrp": by_pyvrp, "hgs": by_hgs, "vroom": by_vroom}[peer]
    costs, gaps, vehicles = [], [], 0
    for file in files:
        cost, used = solve(file, seconds, seed)
        best = file.with_suffix(".sol")
        known = vrplib.read_solution(best)["cost"] if best.exists() else None
        gap = 100 * (cost / known - 1) if cost and known else None
        print(file.stem, "cost", cost, "vehicles", used, "gap", gap, flush=True)
        costs.append(cost)
        gaps.append(gap)
        vehicles += used
    figures = {"files": len(files), "unsolved": costs.count(None), "vehicles": vehicles}
    figures["mean_cost"] = None if None in costs else round(float(np.mean(costs)), 2)
    figures["mean_gap_percent"] = None if None in gaps else round(float(np.mean(gaps)), 4)
    print("RESULT", json.dumps(figures))


if __name__ == "__main__":
    main()
