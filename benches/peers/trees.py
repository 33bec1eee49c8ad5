"""The peers' side of benches/trees.sh: trees.py train|predict|reasons lightgbm|xgboost|onnxruntime FILE THREADS, prints RESULT {json}."""

import json
import sys
import time

import numpy as np

FEATURES, TRAINING_ROWS = 15, 67_000


def load(file):
    table = np.fromfile(file, "<f8").reshape(-1, FEATURES + 1)
    return table[:TRAINING_ROWS, :-1], table[:TRAINING_ROWS, -1], table[TRAINING_ROWS:, :-1], table[TRAINING_ROWS:, -1]


def average_precision(labels, margins):
    found = labels[np.argsort(-margins, kind="stable")]
    return float((found * np.cumsum(found) / np.arange(1, len(found) + 1)).sum() / found.sum())


def lightgbm_of(rows, labels, depth, rounds, threads):
    import lightgbm

    chosen = {"objective": "binary", "learning_rate": 0.1, "max_depth": depth, "num_leaves": 1 << depth, "lambda_l2": 1.0}
    chosen |= {"min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 1e-3, "num_threads": threads, "verbose": -1}
    return lightgbm.train(chosen, lightgbm.Dataset(rows, labels), rounds)


def xgboost_of(rows, labels, depth, rounds, threads):
    import xgboost

    chosen = {"objective": "binary:logistic", "eta": 0.1, "max_depth": depth, "lambda": 1.0, "min_child_weight": 1e-3}
    chosen |= {"tree_method": "hist", "max_bin": 255, "nthread": threads}
    return xgboost.train(chosen, xgboost.QuantileDMatrix(rows, labels, max_bin=255, nthread=threads), rounds)


def train(peer, file, threads):
    """Binning counts, loading and importing do not."""
    rows, labels, held_out, truth = load(file)
    {"lightgbm": lightgbm_of, "xgboost": xgboost_of}[peer](rows[:1000], labels[:1000], 2, 1, threads)
    begin, wall = time.process_time(), time.perf_counter()
    if peer == "lightgbm":
        model = lightgbm_of(rows, labels, 5, 200, threads)
    else:
        model = xgboost_of(rows, labels, 5, 200, threads)
    cpu, wall = time.process_time() - begin, time.perf_counter() - wall
    if peer == "lightgbm":
        margins = model.predict(held_out, raw_score=True)
    else:
        import xgboost

        margins = model.predict(xgboost.DMatrix(held_out), output_margin=True)
    return {"fit_cpu_s": round(cpu, 3), "fit_wall_s": round(wall, 3), "ap": round(average_precision(truth, margins), 5)}


def main():
    match sys.argv[1:]:
        case ["train", peer, file, threads]:
            result = train(peer, file, int(threads))
        case _:
            sys.exit(__doc__)
    print("RESULT", json.dumps(result))


if __name__ == "__main__":
    main()
