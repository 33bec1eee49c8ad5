"""Forests that Dhow wrote as ONNX, run by ONNX Runtime, beside LightGBM's own leaves, on f32 rows on and around thresholds.

    tree_formats.py FOREST_TO_ONNX [ROWS]

Every tree's leaf is asked of ONNX Runtime by giving each tree an output of its own whose leaf weights are the leaves' numbers.
"""

import subprocess
import sys
import tempfile

import lightgbm as lgb
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

FEATURES, CATEGORICAL = 8, [6, 7]


def training_data(seed, rows=20_000):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, FEATURES))
    x[:, 1] = np.exp(3 * x[:, 1])
    x[:, 2] = np.round(x[:, 2], 1)
    x[:, 3] *= 1e-36
    x[rng.random(x.shape) < 0.2] = 0.0
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, 6] = rng.integers(0, 20, rows)
    x[:, 7] = rng.integers(0, 300, rows)
    y = np.nan_to_num(x[:, 0]) + np.log1p(np.nan_to_num(x[:, 1])) / 3 + np.sin(x[:, 7]) + (x[:, 6] % 3 == 0) + rng.normal(size=rows)
    return rng, x, y


def numeric_thresholds(booster):
    found, columns = {f: [0.0] for f in range(FEATURES)}, {}
    for line in booster.model_to_string().splitlines():
        key, _, values = line.partition("=")
        columns[key] = values.split()
        if key == "decision_type":
            for f, threshold, decision in zip(columns["split_feature"], columns["threshold"], columns[key]):
                if int(decision) & 1 == 0:
                    found[int(f)].append(float(threshold))
    return {f: np.array(values) for f, values in found.items()}


def rows_around(rng, x, thresholds, count):
    rows = x[rng.integers(0, len(x), count)].astype(np.float32)
    for f in range(FEATURES):
        if f in CATEGORICAL:
            odd = rng.random(count) < 0.2
            choice = np.array([-1, -0.5, -0.0, 0.5, 2.9, 299.5, 300, 5e8, 2147483648.0, np.nan, np.inf, -np.inf], np.float32)
            rows[odd, f] = rng.choice(choice, odd.sum())
            continue
        with np.errstate(over="ignore"):
            near = rng.choice(thresholds[f], count).astype(np.float32)
        steps = rng.integers(-2, 3, count)
        for step in (1, 2):
            with np.errstate(over="ignore"):
                near = np.where(steps >= step, np.nextafter(near, np.float32(np.inf)), near)
                near = np.where(-steps >= step, np.nextafter(near, np.float32(-np.inf)), near)
        at = rng.random(count) < 0.6
        rows[at, f] = near[at]
        odd = rng.random(count) < 0.1
        choice = np.array([np.nan, 0, -0.0, 1e-35, -1e-35, 1e-40, -1e-40, np.inf, -np.inf, 3.4e38], np.float32)
        rows[odd, f] = rng.choice(choice, odd.sum())
    return rows


def with_leaf_outputs(model, trees):
    """The same splits, with one output per tree: the number of the leaf among the tree's leaves."""
    [node] = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    owner = list(values["target_treeids"])
    seen = {}
    numbers = [float(seen.setdefault(tree, []).append(0) or len(seen[tree]) - 1) for tree in owner]
    tensor = helper.make_tensor("w", TensorProto.DOUBLE, [len(numbers)], numbers)
    values.update(n_targets=trees, target_ids=owner, target_weights_as_tensor=tensor,
                  base_values_as_tensor=helper.make_tensor("b", TensorProto.DOUBLE, [trees], [0.0] * trees))
    cast = helper.make_node("Cast", ["rows"], ["wide"], to=TensorProto.DOUBLE)
    ensemble = helper.make_node("TreeEnsembleRegressor", ["wide"], ["leaves"], domain="ai.onnx.ml", **values)
    graph = helper.make_graph([cast, ensemble], "g", [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, FEATURES])],
                              [helper.make_tensor_value_info("leaves", TensorProto.FLOAT, [None, trees])])
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def compare(tool, name, count, **parameters):
    rng, x, y = training_data(len(name))
    if parameters.get("objective") == "binary":
        y = (y > 1.5) * 1.0
    if parameters.get("objective") == "tweedie":
        y = np.maximum(y, 0) * 100
    if not parameters.get("use_missing", True):
        x = np.nan_to_num(x)
    settings = dict(num_leaves=31, verbose=-1, num_threads=1, seed=1, max_cat_threshold=100, min_data_per_group=20, **parameters)
    booster = lgb.train(settings, lgb.Dataset(x, y, categorical_feature=CATEGORICAL), 60)
    with tempfile.TemporaryDirectory() as folder:
        booster.save_model(folder + "/model.txt")
        booster = lgb.Booster(model_file=folder + "/model.txt")
        subprocess.run([tool, folder + "/model.txt", folder + "/model.onnx"], check=True)
        model = onnx.load(folder + "/model.onnx")
    onnx.checker.check_model(model)
    trees = booster.num_trees()
    margins, leaves = session(model), session(with_leaf_outputs(model, trees))
    rows_seen = wrong_leaves = 0
    worst = 0.0
    while rows_seen < count:
        rows = rows_around(rng, x, numeric_thresholds(booster), 10_000)
        wide = rows.astype(np.float64)
        expected = booster.predict(wide, pred_leaf=True)
        wrong_leaves += int((leaves.run(None, {"rows": rows})[0] != expected).sum())
        raw = booster.predict(wide, raw_score=True)
        error = np.abs(margins.run(["margin"], {"rows": rows})[0][:, 0] - raw) / np.maximum(1.0, np.abs(raw))
        worst = max(worst, float(error.max()))
        rows_seen += len(rows)
    print(f"{name}: {rows_seen} rows x {trees} trees: {wrong_leaves} other leaves, margins differ by at most {worst:.2e}", flush=True)
    return wrong_leaves


if __name__ == "__main__":
    tool, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    wrong = compare(tool, "binary", count, objective="binary")
    wrong += compare(tool, "zero as missing", count, objective="regression", zero_as_missing=True)
    wrong += compare(tool, "no missing", count, objective="quantile", alpha=0.9, use_missing=False)
    wrong += compare(tool, "tweedie", count, objective="tweedie")
    sys.exit(wrong != 0)
