"""The peer's side of benches/delivery_time.sh: LightGBM's quantile loss on the table that `delivery_time write` wrote: FILE.

Prints RESULT {json}. The label is the logarithm of the minutes less the base; the better of two settings on the rows that
calibrate is learned again from all rows that were known when the judged ones begin.
"""

import json
import sys
import time

import lightgbm
import numpy as np

LEVELS = [0.1, 0.5, 0.9]
CATEGORIES = [5, 6, 7]
SETTINGS = [
    {"num_leaves": 15, "learning_rate": 0.15, "min_data_in_leaf": 50, "rounds": 60},
    {"num_leaves": 31, "learning_rate": 0.1, "min_data_in_leaf": 20, "rounds": 100},
]
REGION_DELIVERIES_MIN = 3_000
PRIOR_DELIVERIES = 200


def pinball(minutes, quantiles):
    losses = [np.maximum(q * (minutes - p), (q - 1) * (minutes - p)).mean() for q, p in zip(LEVELS, quantiles.T)]
    return float(np.mean(losses))


def fit(rows, labels, settings):
    chosen = {key: value for key, value in settings.items() if key != "rounds"}
    chosen |= {"objective": "quantile", "lambda_l2": 1.0, "verbose": -1, "num_threads": 2, "seed": 1}
    data = lambda: lightgbm.Dataset(rows, labels, categorical_feature=CATEGORIES, free_raw_data=True)
    return [lightgbm.train(chosen | {"alpha": level}, data(), settings["rounds"]) for level in LEVELS]


def logs(models, rows):
    return np.stack([model.predict(rows) for model in models], axis=1)


def minutes_of(bases, logs):
    return np.exp(bases[:, None] + np.sort(logs, axis=1))


def rank(values, level):
    values = np.sort(values)
    return values[min(max(round(level * (len(values) + 1)) - 1, 0), len(values) - 1)]


def shifts(errors, regions):
    """The same calibration: quantiles of the errors by region, shrunk towards those everywhere."""
    everywhere = np.array([rank(errors[:, at], level) for at, level in enumerate(LEVELS)])
    of = {}
    for region in np.unique(regions):
        own = errors[regions == region]
        weight = len(own) / (len(own) + PRIOR_DELIVERIES)
        of[region] = everywhere + weight * (np.array([rank(own[:, at], q) for at, q in enumerate(LEVELS)]) - everywhere)
    return everywhere, of


def main(file):
    numbers = np.fromfile(file, "<f8")
    features, fitted, known, judged, mature = (int(number) for number in numbers[:5])
    table = numbers[5:].reshape(-1, features + 3)
    rows, bases, minutes, regions = table[:, :features], table[:, -3], table[:, -2], table[:, -1].astype(int)
    labels = np.log(minutes) - bases
    held = slice(fitted, known)
    tried = []
    for settings in SETTINGS:
        models = fit(rows[:fitted], labels[:fitted], settings)
        of_held = logs(models, rows[held])
        tried.append((pinball(minutes[held], minutes_of(bases[held], of_held)), models, of_held, settings))
    _, earlier, of_held, settings = min(tried, key=lambda one: one[0])
    begin = time.process_time()
    models = fit(rows[:known], labels[:known], settings)
    cpu = time.process_time() - begin
    test = slice(judged, mature)
    plain = minutes_of(bases[test], logs(models, rows[test]))
    everywhere, of = shifts(labels[held][:, None] - of_held, regions[held])
    moved = logs(earlier, rows[test]) + np.array([of.get(region, everywhere) for region in regions[test]])
    moved = minutes_of(bases[test], moved)
    begin = time.perf_counter()
    for row in rows[test][:200]:
        logs(models, row[None, :])
    answer_us = (time.perf_counter() - begin) / 200 * 1e6
    large = [region for region in np.unique(regions) if (regions == region).sum() >= REGION_DELIVERIES_MIN]
    result = {"judged": mature - judged, "settings": settings, "fit_cpu_s": round(cpu, 3), "answer_us_mean": answer_us}
    for name, told in [("", plain), ("calibrated_", moved)]:
        covered = [(minutes[test] <= told[:, 2])[regions[test] == region].mean() for region in large]
        result[name + "pinball_minutes"] = pinball(minutes[test], told)
        result[name + "coverage"] = [float((minutes[test] <= told[:, at]).mean()) for at in range(3)]
        result[name + "p90_coverage_least"] = float(min(covered, default=float("nan")))
        result[name + "p90_coverage_most"] = float(max(covered, default=float("nan")))
    print("RESULT", json.dumps(result))


main(sys.argv[1])
