"""The peers' side of benches/trees.sh: trees.py train lightgbm|xgboost, predict lightgbm|onnxruntime or reasons lightgbm, FILE THREADS.

Each prints RESULT {json}. The file is what `trees generate` writes. All sides get the same settings.
"""

import json
import sys
import time

import numpy as np

ROWS_TIMED = 10_000


def load(file):
    numbers = np.fromfile(file, "<f8")
    features, training = int(numbers[0]), int(numbers[1])
    table = numbers[2:].reshape(-1, features + 1)
    rows, labels = np.ascontiguousarray(table[:, :-1]), table[:, -1].copy()
    return rows[:training], labels[:training], rows[training:], labels[training:]


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
    """Binning counts; loading and importing do not."""
    rows, labels, held_out, truth = load(file)
    of = {"lightgbm": lightgbm_of, "xgboost": xgboost_of}[peer]
    of(rows[:1000], labels[:1000], 2, 1, threads)
    begin, wall = time.process_time(), time.perf_counter()
    model = of(rows, labels, 5, 200, threads)
    cpu, wall = time.process_time() - begin, time.perf_counter() - wall
    if peer == "lightgbm":
        margins = model.predict(held_out, raw_score=True)
    else:
        import xgboost

        margins = model.predict(xgboost.DMatrix(held_out), output_margin=True)
    return {"fit_cpu_s": round(cpu, 3), "fit_wall_s": round(wall, 3), "ap": round(average_precision(truth, margins), 5)}


def each_row(rows, of):
    times = []
    for at in range(min(len(rows), ROWS_TIMED)):
        row = rows[at : at + 1]
        begin = time.perf_counter()
        of(row)
        times.append((time.perf_counter() - begin) * 1e6)
    p50, p99, p999 = np.quantile(times, [0.5, 0.99, 0.999])
    return {"latency_us_mean": round(float(np.mean(times)), 2), "latency_us_p50": round(p50, 2), "latency_us_p99": round(p99, 2), "latency_us_p999": round(p999, 2)}


def predict(peer, file, threads):
    """One row of 100 trees of depth 6."""
    rows, labels, held_out, _ = load(file)
    model = lightgbm_of(rows, labels, 6, 100, threads)
    if peer == "lightgbm":
        return each_row(held_out, lambda row: model.predict(row, num_threads=1))
    import onnxruntime
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    exported = convert_lightgbm(model, initial_types=[("rows", FloatTensorType([None, rows.shape[1]]))], zipmap=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs() if "prob" in output.name]
    return each_row(held_out.astype(np.float32), lambda row: session.run(outputs, {"rows": row}))


def reasons(peer, file, threads):
    """What each feature adds to one row's margin, 200 trees of depth 6."""
    rows, labels, held_out, _ = load(file)
    model = lightgbm_of(rows, labels, 6, 200, threads)
    return each_row(held_out, lambda row: model.predict(row, pred_contrib=True, num_threads=1))


def main():
    match sys.argv[1:]:
        case [("train" | "predict" | "reasons") as what, peer, file, threads]:
            result = {"train": train, "predict": predict, "reasons": reasons}[what](peer, file, int(threads))
        case _:
            sys.exit(__doc__)
    print("RESULT", json.dumps(result))


if __name__ == "__main__":
    main()
