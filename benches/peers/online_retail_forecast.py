"""Peers on Online Retail: forecasts of 28 days, scored by the example `online_retail`.

`prepare FILE FOLDER` writes sales.csv (product, country, day, quantity, revenue): lines of products sold, without those that
the same customer cancelled in whole on the same day. `statsforecast FOLDER BACK` forecasts every node by AutoETS and by the
median of AutoETS, AutoCES and DynamicOptimizedTheta, or the mean of a history that they refuse; `lightgbm FOLDER BACK` learns the
rows that the global model learns from, with its settings, and takes AutoETS for total and countries.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

HORIZON = 28


def prepare(file, folder):
    import pandas as pd

    lines = pd.read_parquet(file)
    lines["invoice"] = lines.InvoiceNo.astype(str).str.strip()
    lines["product"] = lines.StockCode.astype(str).str.strip().str.upper()
    lines = lines[lines["product"].str.match(r"^\d{5}")]
    lines["day"] = lines.InvoiceDate.dt.floor("D")
    cancelled = lines[lines.invoice.str.startswith("C") & (lines.Quantity < 0)]
    gone = set(zip(cancelled.CustomerID, cancelled["product"], -cancelled.Quantity, cancelled.day))
    sold = lines[lines.invoice.str.match(r"^\d+$") & (lines.Quantity > 0) & (lines.UnitPrice > 0)].copy()
    sold = sold[[key not in gone for key in zip(sold.CustomerID, sold["product"], sold.Quantity, sold.day)]]
    sold["day"] = (sold.day - sold.day.min()).dt.days
    sold["revenue"] = sold.Quantity * sold.UnitPrice
    table = sold.groupby(["product", "Country", "day"])[["Quantity", "revenue"]].sum().round(2).reset_index()
    table.to_csv(Path(folder) / "sales.csv", sep=";", header=False, index=False)


def nodes(folder, back):
    count, uppers, days = map(int, (folder / f"shape-{back}").read_text().split())
    return np.fromfile(folder / f"history-{back}").reshape(count, days), uppers


def statsforecast(folder, back):
    from statsforecast.models import AutoCES, AutoETS, DynamicOptimizedTheta

    history, _ = nodes(folder, back)
    models = [AutoETS(season_length=7), AutoCES(season_length=7), DynamicOptimizedTheta(season_length=7)]
    found = np.zeros((len(models), len(history), HORIZON))
    for at, demand in enumerate(history):
        values = demand[np.flatnonzero(demand)[0] :]
        for place, model in enumerate(models):
            try:
                found[place, at] = model.forecast(y=values, h=HORIZON)["mean"]
            except Exception:  # a series that the method refuses gets the fallback that the documentation names
                found[place, at] = values.mean()
    found = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
    found[0].tofile(folder / f"peer-statsforecast_ets-{back}")
    np.median(found, axis=0).tofile(folder / f"peer-statsforecast_median-{back}")


def lightgbm(folder, back):
    import lightgbm

    history, _ = nodes(folder, back)
    asked = np.fromfile(folder / f"asked-{back}")
    features = 29
    asked = asked.reshape(-1, HORIZON, features + 2)
    expected, is_asked = asked[:, :, features], asked[:, :, features + 1] > 0
    found = expected.copy()
    settings = {"objective": "tweedie", "tweedie_variance_power": 1.2, "learning_rate": 0.05, "num_leaves": 15}
    settings |= {"min_sum_hessian_in_leaf": 40, "min_data_in_leaf": 20, "lambda_l2": 10, "feature_fraction": 0.7}
    settings |= {"bagging_fraction": 0.8, "bagging_freq": 1, "verbose": -1, "num_threads": 1, "seed": 0}
    first = 0
    for last in (7, 14, 28):
        rows = np.fromfile(folder / f"rows{last}-{back}").reshape(-1, features + 2)
        data = lightgbm.Dataset(rows[:, :features], rows[:, features], weight=rows[:, features + 1], categorical_feature=[25, 26, 27, 28])
        model = lightgbm.train(settings, data, num_boost_round=150)
        for step in range(first, last):
            some = is_asked[:, step]
            found[some, step] *= model.predict(asked[some, step, :features])
        first = last
    # Total and countries, as many as the learned nodes leave, by AutoETS.
    tops = np.fromfile(folder / f"peer-statsforecast_ets-{back}").reshape(-1, HORIZON)
    learned = np.fromfile(folder / f"learned-{back}", dtype=np.uint8).astype(bool)
    tops[learned] = found
    tops.tofile(folder / f"peer-lightgbm-{back}")


if __name__ == "__main__":
    begin = time.process_time()
    if sys.argv[1] == "prepare":
        prepare(sys.argv[2], sys.argv[3])
    else:
        {"statsforecast": statsforecast, "lightgbm": lightgbm}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
    print("RESULT " + json.dumps({"peer": sys.argv[1], "cpu_s": round(time.process_time() - begin, 1)}))
