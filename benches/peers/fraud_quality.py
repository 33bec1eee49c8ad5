"""The peers' side of benches/fraud_quality.sh: fraud_quality.py handbook FILE WEEK_DAYS.. | cards FILE SEEDS, prints RESULT {json}.

`handbook`: logistic regression, random forest and XGBoost with the features and the default settings of the Fraud Detection
Handbook (chapters 3 and 5), and with the settings of its grids that were best on the weeks of `VALIDATION`; each learned on
the 7 days before the delay as in the book, and `-long` ones on the 28 days that Dhow learns on. `cards`: the table in time
order, tested on the last fifth; each peer's setting, of a grid of four, is chosen on the fifth before it and learned again on
all earlier rows. Needs pandas, pyarrow, scikit-learn, xgboost and lightgbm.
"""

import itertools
import json
import sys

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

DAY = 86_400
DELAY, TEST_DAYS, CARDS = 7, 7, 100
BOOK_DAYS, LONG_DAYS = 7, 28


def grids():
    """The book's defaults first, then the other settings of its grids."""
    logistic = [{"C": 1}, {"C": 0.1}, {"C": 10}, {"C": 100}]
    forest = [{"max_depth": None, "n_estimators": 100}] + [
        {"max_depth": depth, "n_estimators": trees} for depth, trees in itertools.product([5, 10, 20, 50], [25, 50, 100])
    ]
    boosted = [{}] + [
        {"max_depth": depth, "n_estimators": trees, "learning_rate": rate}
        for depth, trees, rate in itertools.product([3, 6, 9], [25, 50, 100], [0.1, 0.3])
    ]
    return {
        "logistic": (lambda **set: LogisticRegression(max_iter=1000, random_state=0, **set), logistic),
        "forest": (lambda **set: RandomForestClassifier(n_jobs=-1, random_state=0, **set), forest),
        "xgboost": (lambda **set: XGBClassifier(n_jobs=-1, random_state=0, **set), boosted),
    }


class Handbook:
    def __init__(self, file):
        data = pd.read_parquet(file).sort_values(["TX_TIME_SECONDS", "TRANSACTION_ID"])
        column = lambda name: data[name].to_numpy().astype(np.int64)
        self.time, self.day = column("TX_TIME_SECONDS"), column("TX_TIME_DAYS")
        self.customer, self.terminal = column("CUSTOMER_ID"), column("TERMINAL_ID")
        self.label, self.amount = column("TX_FRAUD"), data["TX_AMOUNT"].to_numpy()
        self.starts = np.searchsorted(self.day, np.arange(self.day.max() + 2))
        weekend, night = data["TX_DATETIME"].dt.weekday >= 5, data["TX_DATETIME"].dt.hour <= 6
        columns = [self.amount, weekend.to_numpy(), night.to_numpy()]
        for days in (1, 7, 30):
            columns += list(self.window(self.customer, self.amount, days, 0))
            count, risk = self.window(self.terminal, self.label, days, DELAY)
            columns += [count, np.nan_to_num(risk)]
        self.features = np.stack(columns, 1).astype(float)

    def window(self, entity, values, days, delay):
        """Count and mean over (time - delay - days, time - delay], the row itself included where there is no delay."""
        wide = 1 << 28
        key = entity * wide + self.time + wide // 2
        order = np.argsort(key, kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(values[order].astype(float))])
        low = np.searchsorted(key[order], key - (delay + days) * DAY, "right")
        high = np.searchsorted(key[order], key - delay * DAY, "right")
        count = high - low
        return count, np.divide(sums[high] - sums[low], count, out=np.full(len(count), np.nan), where=count > 0)

    def train_rows(self, week, days):
        return np.arange(self.starts[max(week - DELAY - days, 0)], self.starts[week - DELAY])

    def test_rows(self, week):
        """Customers with a fraud in the training week, or known by the test day, are left out."""
        rows = []
        for day in range(week, week + TEST_DAYS):
            of_day = np.arange(self.starts[day], self.starts[day + 1])
            known = slice(self.starts[week - DELAY - BOOK_DAYS], self.starts[day - DELAY])
            blocked = np.unique(self.customer[known][self.label[known] == 1])
            rows.append(of_day[~np.isin(self.customer[of_day], blocked)])
        return np.concatenate(rows)

    def card_precision(self, scores, rows):
        blocked, precisions = set(), []
        for day in np.unique(self.day[rows]):
            of_day = pd.DataFrame({"card": self.customer[rows], "score": scores, "fraud": self.label[rows]})
            of_day = of_day[(self.day[rows] == day) & ~of_day.card.isin(blocked)]
            cards = of_day.groupby("card").max().sort_values("score", ascending=False, kind="stable")
            top = cards.head(CARDS)
            caught = top.index[top.fraud == 1]
            blocked |= set(caught)
            precisions.append(len(caught) / CARDS)
        return float(np.mean(precisions))

    def judge(self, make, setting, week, days):
        train, test = self.train_rows(week, days), self.test_rows(week)
        model = make_pipeline(StandardScaler(), make(**setting)).fit(self.features[train], self.label[train])
        scores = model.predict_proba(self.features[test])[:, 1]
        label = self.label[test]
        return {
            "auc": roc_auc_score(label, scores),
            "average_precision": average_precision_score(label, scores),
            "cp_100": self.card_precision(scores, test),
            "cp_100_perfect": self.card_precision(label.astype(float), test),
        }


VALIDATION = [21, 28, 35]


def mean(found):
    return {measure: float(np.mean([week[measure] for week in found])) for measure in found[0]}


def handbook(file, weeks):
    data = Handbook(file)
    results = {}
    for name, (make, settings) in grids().items():
        tried = [mean([data.judge(make, setting, week, BOOK_DAYS) for week in VALIDATION]) for setting in settings]
        best = settings[int(np.argmax([found["average_precision"] for found in tried]))]
        for kind, setting, days in (
            ("", settings[0], BOOK_DAYS), ("-tuned", best, BOOK_DAYS), ("-tuned-long", best, LONG_DAYS)
        ):
            found = [data.judge(make, setting, week, days) for week in weeks]
            results[name + kind] = {"setting": setting, "mean": mean(found), "weeks": found}
            print(name + kind, setting, results[name + kind]["mean"], file=sys.stderr, flush=True)
    return {"weeks": weeks, "peers": results}


def cards(file, seeds):
    data = pd.read_parquet(file)
    features, label = data.drop(columns=["Time", "Class"]).to_numpy(np.float64), data["Class"].to_numpy()
    late, test = int(round(len(data) * 0.6)), int(round(len(data) * 0.8))
    leaves = [4, 8, 15, 31]
    peers = {
        "logistic": (lambda value, seed: make_pipeline(StandardScaler(), LogisticRegression(C=value, max_iter=2000)), [0.01, 0.1, 1, 10]),
        "lightgbm": (lambda value, seed: LGBMClassifier(
            n_estimators=200, learning_rate=0.05, num_leaves=value, colsample_bytree=0.5, subsample=0.8, subsample_freq=1,
            reg_lambda=1, random_state=seed, verbose=-1), leaves),
        "xgboost": (lambda value, seed: XGBClassifier(
            n_estimators=200, learning_rate=0.05, max_leaves=value, max_depth=0, grow_policy="lossguide", tree_method="hist",
            colsample_bytree=0.5, subsample=0.8, reg_lambda=1, random_state=seed), leaves),
    }
    results = {}
    for name, (make, values) in peers.items():
        runs = []
        for seed in range(1 if name == "logistic" else seeds):
            def precision(value, until, first, last):
                model = make(value, seed).fit(features[:until], label[:until])
                return float(average_precision_score(label[first:last], model.predict_proba(features[first:last])[:, 1]))
            tried = [precision(value, late, late, test) for value in values]
            chosen = values[int(np.argmax(tried))]
            runs.append({"seed": seed, "chosen": chosen, "average_precision": precision(chosen, test, test, len(data))})
        found = [run["average_precision"] for run in runs]
        results[name] = {"runs": runs, "mean": float(np.mean(found)), "least": min(found), "most": max(found)}
        print(name, results[name], file=sys.stderr, flush=True)
    return {"peers": results}


what, file, *numbers = sys.argv[1:]
numbers = [int(number) for number in numbers]
result = handbook(file, numbers) if what == "handbook" else cards(file, numbers[0])
print("RESULT", json.dumps(result))
