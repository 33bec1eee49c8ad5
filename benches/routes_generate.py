"""Writes capacitated routing instances as the generator of the X set does (Uchoa et al. 2017): a grid of 1,000 by 1,000, stops
anywhere, in clusters or half and half, several kinds of amounts, and a capacity for so many stops a route.

    benches/routes_generate.py FOLDER STOPS [STOPS …]
    benches/routes_generate.py FOLDER --unprized OTHER

One instance a number of stops, named G-n<stops + 1>; the depot, the stops, the amounts and the length of routes go round by the
position in the list, so that equal arguments give equal files. The second form writes the instances of 1,000 stops with windows
and prizes in OTHER as Gehring and Homberger's without prizes: every stop must be served, by up to 250 vehicles.
"""

import math
import random
import sys
from pathlib import Path

GRID = 1000
# Depot: in the middle, at the corner, anywhere. Stops: anywhere, clustered, half and half. Amounts: from, to. Stops a route.
KINDS = [
    ("random", "half", (1, 100), 9.0),
    ("centre", "clustered", (5, 10), 16.0),
    ("corner", "random", (1, 10), 23.0),
    ("random", "clustered", (50, 100), 6.0),
]
CLUSTERS = (3, 8)
REACH = 40.0


def points(rng, stops, kind, depot):
    taken = {depot}
    found = []

    def take(point):
        if point not in taken:
            taken.add(point)
            found.append(point)

    anywhere = {"random": stops, "half": stops // 2, "clustered": rng.randint(*CLUSTERS)}[kind]
    while len(found) < anywhere:
        take((rng.randint(0, GRID), rng.randint(0, GRID)))
    seeds = found[: rng.randint(*CLUSTERS)] if kind == "half" else list(found)
    while len(found) < stops:
        point = (rng.randint(0, GRID), rng.randint(0, GRID))
        pull = sum(math.exp(-math.dist(point, seed) / REACH) for seed in seeds)
        if rng.random() <= pull:
            take(point)
    return found


def instance(name, stops, kind, seed):
    depot_kind, stop_kind, (least, most), route = kind
    rng = random.Random(seed)
    depot = {
        "centre": (GRID // 2, GRID // 2),
        "corner": (0, 0),
        "random": (rng.randint(0, GRID), rng.randint(0, GRID)),
    }[depot_kind]
    places = [depot, *points(rng, stops, stop_kind, depot)]
    amounts = [0, *(rng.randint(least, most) for _ in range(stops))]
    capacity = max(math.ceil(route * sum(amounts) / stops), most)
    lines = [
        f"NAME : {name}",
        'COMMENT : "by the generator of Uchoa et al. (2017)"',
        "TYPE : CVRP",
        f"DIMENSION : {stops + 1}",
        "EDGE_WEIGHT_TYPE : EUC_2D",
        f"CAPACITY : {capacity}",
        "NODE_COORD_SECTION",
        *(f"{index}\t{x}\t{y}" for index, (x, y) in enumerate(places, 1)),
        "DEMAND_SECTION",
        *(f"{index}\t{amount}" for index, amount in enumerate(amounts, 1)),
        "DEPOT_SECTION",
        "\t1",
        "\t-1",
        "EOF",
    ]
    return "\n".join(lines) + "\n"


def unprized(text):
    """The instance without its prizes."""
    head, rest = text.split("PRIZE_SECTION")
    lines = [line for line in head.splitlines() if not line.startswith(("TYPE", "VEHICLES"))]
    kept = [lines[0], "TYPE : VRPTW", "VEHICLES : 250", *lines[1:], rest[rest.index("DEPOT_SECTION") :]]
    return "\n".join(kept)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if sys.argv[2] == "--unprized":
        for file in sorted(Path(sys.argv[3]).glob("*.vrp")):
            (folder / file.name).write_text(unprized(file.read_text()))
        return
    for index, stops in enumerate(map(int, sys.argv[2:])):
        name = f"G-n{stops + 1}-{index}"
        (folder / f"{name}.vrp").write_text(instance(name, stops, KINDS[index % len(KINDS)], index))


if __name__ == "__main__":
    main()
