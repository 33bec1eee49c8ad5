"""Feast's historical features from its local file store: feast_historical.py make|features|compare FOLDER.

`make` writes 200,000 rows of features and 20,000 points and registers them with Feast, `features` joins them, `compare`
checks that Dhow's table in the same folder holds the same values. Imports and the registration are not in `query_s`.
"""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy
import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64, Int64
from feast.value_type import ValueType

what, folder = sys.argv[1], Path(sys.argv[2]).resolve()
EVENTS, POINTS, KEYS, DAYS = 200_000, 20_000, 20_000, 90
NAMES = ["conversion", "acceptance", "trips"]
CONFIGURATION = """project: bench
provider: local
registry: registry.db
offline_store: {type: file}
online_store: {type: sqlite, path: online.db}
entity_key_serialization_version: 3
"""


def make() -> None:
    """Rows over 90 days in the order of time. Rows lie on even microseconds and points on odd ones: no two meet."""
    random = numpy.random.default_rng(7)

    def times(count: int, odd: int):
        micros = numpy.sort(random.integers(0, DAYS * 86_400 * 500_000, count)) * 2 + odd
        return pandas.to_datetime(numpy.datetime64("2026-01-01", "us") + micros.astype("timedelta64[us]"), utc=True)

    rows = pandas.DataFrame({
        "at": times(EVENTS, 0), "key": random.integers(0, KEYS, EVENTS),
        "conversion": random.random(EVENTS), "acceptance": random.random(EVENTS), "trips": random.integers(0, 1000, EVENTS),
    })
    rows.to_parquet(folder / "events.parquet", index=False)
    points = pandas.DataFrame({"at": times(POINTS, 1), "key": random.integers(0, KEYS, POINTS)})
    points.to_parquet(folder / "points.parquet", index=False)

    (folder / "feature_store.yaml").write_text(CONFIGURATION)
    key = Entity(name="key", join_keys=["key"], value_type=ValueType.INT64)
    source = FileSource(path=str(folder / "events.parquet"), timestamp_field="at")
    schema = [Field(name="conversion", dtype=Float64), Field(name="acceptance", dtype=Float64), Field(name="trips", dtype=Int64)]
    # No life time: the latest values count however old they are.
    view = FeatureView(name="stats", entities=[key], ttl=timedelta(0), schema=schema, source=source)
    FeatureStore(str(folder)).apply([key, view])


def features() -> dict:
    """The join alone is timed: the store and the points are there before."""
    store = FeatureStore(str(folder))
    points = pandas.read_parquet(folder / "points.parquet").rename(columns={"at": "event_timestamp"})
    begin, cpu = time.perf_counter(), time.process_time()
    table = store.get_historical_features(points, [f"stats:{name}" for name in NAMES]).to_df()
    taken = {"query_s": round(time.perf_counter() - begin, 4), "query_cpu_s": round(time.process_time() - cpu, 4)}
    table.to_parquet(folder / "feast.parquet", index=False)
    return {"rows": len(table), **taken}


def compare() -> dict:
    """Both tables by point: each of Feast's values equals ours, and the points that it leaves out have none here."""
    theirs = pandas.read_parquet(folder / "feast.parquet").rename(columns={"event_timestamp": "at"})
    ours = pandas.read_parquet(folder / "out.parquet")
    both = ours.merge(theirs, on=["at", "key"], how="outer", indicator="side")
    if len(ours) != POINTS or len(both) != POINTS or (both["side"] == "right_only").any():
        sys.exit(f"{len(ours)} rows of ours, {len(theirs)} of Feast's and {len(both)} together; {POINTS} points")
    for name in NAMES:
        left, right = both[f"stats_{name}_last_ever"].astype(float), both[name].astype(float)
        different = (left != right) & ~(left.isna() & right.isna())
        if different.any():
            sys.exit(f"{name} differs at {different.sum()} of {POINTS} points, first at\n{both[different].head(1)}")
    return {"points": POINTS, "equal": POINTS, "left_out_by_feast_and_without_value_here": int((both["side"] == "left_only").sum())}


if what == "make":
    make()
else:
    print("RESULT", json.dumps({"features": features, "compare": compare}[what]()))
