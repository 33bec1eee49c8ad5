"""The same payments and windows in Bytewax: bytewax_windows.py tumbling|sliding EVENTS KEYS PER_SECOND."""

import json
import sys
import time
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SlidingWindower, TumblingWindower, fold_window
from bytewax.testing import TestingSink, TestingSource, run_main

kind, events, keys, per_second = sys.argv[1], *map(int, sys.argv[2:5])
BEGIN = datetime.fromtimestamp(1_700_000_040, timezone.utc)
LENGTHS = [60] if kind == "tumbling" else [60, 600, 1800, 3600]


def payments():
    """Buyer and amount follow from the number alone."""
    for number in range(events):
        mixed = number * 2_654_435_761 % 4_294_967_296
        yield str(mixed % keys), (BEGIN + timedelta(microseconds=number * 1_000_000 // per_second), mixed % 10_000)


def add(total, payment):
    return (total[0] + 1, total[1] + payment[1])


def merge(left, right):
    return (left[0] + right[0], left[1] + right[1])


source = list(payments())
results = []
flow = Dataflow("windows")
stream = op.input("payments", flow, TestingSource(source, batch_size=1000))
clock = EventClock(ts_getter=lambda payment: payment[0], wait_for_system_duration=timedelta(0))
for length in LENGTHS:
    if kind == "tumbling":
        windower = TumblingWindower(length=timedelta(seconds=length), align_to=BEGIN)
    else:
        windower = SlidingWindower(length=timedelta(seconds=length), offset=timedelta(seconds=60), align_to=BEGIN)
    out = fold_window(f"fold_{length}", stream, clock, windower, lambda: (0, 0), add, merge)
    op.output(f"out_{length}", out.down, TestingSink(results))

begin, cpu = time.perf_counter(), time.process_time()
run_main(flow)
seconds = time.perf_counter() - begin
print("RESULT", json.dumps({
    "events": events, "fold_s": round(seconds, 4), "events_per_s": round(events / seconds), "results": len(results),
    "events_per_cpu_s": round(events / (time.process_time() - cpu)),
}))
