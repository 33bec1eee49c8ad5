"""Reconciles what `reconcile generate` wrote with hierarchicalforecast: hierarchy.py KIND FOLDER; prints the same figures."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from hierarchicalforecast.methods import MinTrace, MinTraceSparse
from scipy import sparse

kind, folder = sys.argv[1], Path(sys.argv[2])
lists = [np.array(line.split(), dtype=np.int64) for line in (folder / "members").read_text().split("\n")]
bottoms = 4 * int((folder / "products").read_text())
nodes = len(lists) + bottoms
rows = np.concatenate([np.full(len(members), row) for row, members in enumerate(lists)] + [np.arange(len(lists), nodes)])
columns = np.concatenate(lists + [np.arange(bottoms)])
sums = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(nodes, bottoms))
base = np.fromfile(folder / "base").reshape(-1, nodes).T
residuals = np.fromfile(folder / "residuals").reshape(-1, nodes).T
names = {"equal": "ols", "structural": "wls_struct", "variances": "wls_var", "shrunk": "mint_shrink", "not_negative": "wls_struct"}
begin = time.perf_counter()
if kind == "shrunk":
    method, sums = MinTrace(method="mint_shrink"), sums.toarray()
else:
    method = MinTraceSparse(method=names[kind], nonnegative=kind == "not_negative")
found = method.fit_predict(
    S=sums,
    y_hat=base,
    y_insample=residuals,
    y_hat_insample=np.zeros_like(residuals),
)["mean"]
seconds = time.perf_counter() - begin
gap = np.abs((sums[: len(lists)] @ found[len(lists) :]) - found[: len(lists)]).max()
figures = {"nodes": nodes, "reconcile_s": round(seconds, 4), "sum_of_squares": float((found**2).sum()), "least": float(found.min())}
print("RESULT " + json.dumps({**figures, "largest_gap": float(gap)}))
