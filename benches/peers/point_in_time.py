"""Point-in-time work in other engines: point_in_time.py make FOLDER | duckdb_windows|duckdb_as_of|polars_as_of FOLDER."""

import json
import os
import sys
import time
from pathlib import Path

what, folder = sys.argv[1], Path(sys.argv[2])
EVENTS, POINTS, KEYS, DAYS = 2_000_000, 200_000, 20_000, 90


def make() -> None:
    """Events and points over 90 days, in the order of time."""
    import numpy
    import polars

    random = numpy.random.default_rng(7)
    begin = numpy.datetime64("2026-01-01", "us")

    def rows(count: int) -> dict:
        seconds = numpy.sort(random.integers(0, DAYS * 86_400 * 1_000_000, count))
        return {"at": begin + seconds.astype("timedelta64[us]"), "key": random.integers(0, KEYS, count)}

    polars.DataFrame({**rows(EVENTS), "amount": random.integers(1, 100_000, EVENTS)}).write_parquet(folder / "events.parquet")
    polars.DataFrame(rows(POINTS)).write_parquet(folder / "points.parquet")


def duckdb_windows(days: list[int]) -> int:
    """Count, sum and mean over the last days of each point: a range join."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {os.environ.get('PEER_THREADS', '1')}")
    connection.execute(f"CREATE VIEW events AS FROM '{folder}/events.parquet'; CREATE VIEW points AS FROM '{folder}/points.parquet'")
    for length in days:
        connection.execute(
            f"CREATE OR REPLACE TABLE out AS SELECT p.key, p.at, count(e.amount) AS n, sum(e.amount) AS s, avg(e.amount) AS m "
            f"FROM points p LEFT JOIN events e ON e.key = p.key AND e.at >= p.at - INTERVAL {length} DAY AND e.at < p.at GROUP BY p.key, p.at"
        )
    return connection.execute("SELECT count(*) FROM out").fetchone()[0]


def duckdb_as_of() -> int:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {os.environ.get('PEER_THREADS', '1')}")
    connection.execute(
        f"CREATE TABLE out AS SELECT p.*, e.amount FROM '{folder}/points.parquet' p ASOF LEFT JOIN '{folder}/events.parquet' e ON p.key = e.key AND p.at >= e.at"
    )
    return connection.execute("SELECT count(amount) FROM out").fetchone()[0]


def polars_as_of() -> int:
    import polars

    events, points = polars.read_parquet(folder / "events.parquet"), polars.read_parquet(folder / "points.parquet")
    joined = points.join_asof(events, on="at", by="key", strategy="backward")
    joined.write_parquet(folder / "polars_out.parquet")
    return joined.height


if what == "make":
    make()
else:
    begin = time.perf_counter()
    rows = {"duckdb_windows": lambda: duckdb_windows([7]), "duckdb_as_of": duckdb_as_of, "polars_as_of": polars_as_of}[what]()
    print("RESULT", json.dumps({"rows": rows, "query_s": round(time.perf_counter() - begin, 4)}))
