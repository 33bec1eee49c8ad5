"""Peers of the interactions protocol: interactions.py tune SPLIT_FOLDER TRIALS OUTPUT [als bm25 ease], prints RESULT {json}.

SPLIT_FOLDER holds what `factors split` wrote, a line of items per person: `seen` and `validation` (cut from train), `train`
and `test`, `train_last` and `test_last` (the last item of each person). implicit's ALS and BM25 neighbours and EASE (Steck
2019, in closed form by numpy) are each tuned by TRIALS random draws on seen and validation, fitted again on train, and
judged once on test; then with the same settings on the last items. Accuracy of every person goes to OUTPUT.

`interactions.py lift OURS THEIRS …` reads such files, the first of Dhow's blend, and gives by how much the blend is above each
peer, with 95 % intervals from drawing persons, the same for both sides.
"""

import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import scipy.linalg.lapack as lapack
import scipy.sparse as sparse
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender

COUNT = 20
RESAMPLES = 1_000
DISCOUNTS = 1 / np.log2(np.arange(2, COUNT + 2))


def read(path):
    return [[int(item) for item in line.split()] for line in open(path)]


def matrix(histories, items):
    columns = np.concatenate([np.asarray(history, np.int32) for history in histories])
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    return sparse.csr_matrix((np.ones(len(columns), np.float32), (rows, columns)), shape=(len(histories), items))


class Ease:
    def __init__(self, regularization):
        self.regularization = regularization

    def fit(self, pairs, show_progress=False):
        gramian = (pairs.T @ pairs).toarray()
        gramian[np.diag_indices_from(gramian)] += self.regularization
        factor, failed = lapack.spotrf(gramian, lower=1, overwrite_a=1)
        inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
        if failed or failed_too:
            raise ValueError(f"EASE with regularization {self.regularization} has no inverse in 32 bits")
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        self.weights = inverse / -np.diag(inverse)
        self.weights[np.diag_indices_from(self.weights)] = 0

    def recommend(self, people, rows, N):
        scores = rows @ self.weights
        scores[rows.nonzero()] = -np.inf
        best = np.argpartition(-scores, N, axis=1)[:, :N]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        return np.take_along_axis(best, order, 1), None


def draw_als(chooser):
    return {
        "factors": chooser.choice([32, 64, 96, 128, 192, 256]),
        "alpha": 10 ** chooser.uniform(0.3, 2.2),
        "regularization": 10 ** chooser.uniform(-2.5, 1),
        "iterations": chooser.choice([10, 15, 25]),
    }


def draw_bm25(chooser):
    return {"K": chooser.choice([20, 50, 100, 200, 500, 1000]), "K1": 10 ** chooser.uniform(-1, 2.3), "B": chooser.uniform(0, 1)}


def draw_ease(chooser):
    return {"regularization": 10 ** chooser.uniform(0.7, 3.3)}


MODELS = {
    "als": (draw_als, lambda **settings: AlternatingLeastSquares(num_threads=1, random_state=1, **settings)),
    "bm25": (draw_bm25, lambda **settings: BM25Recommender(num_threads=1, **settings)),
    "ease": (draw_ease, Ease),
}


def accuracy(model, pairs, test):
    """Recall and NDCG of every person with something to predict."""
    people = [person for person in range(len(test)) if test[person]]
    each = []
    for first in range(0, len(people), 500):
        some = people[first : first + 500]
        lists, _ = model.recommend(some, pairs[some], N=COUNT)
        for person, found in zip(some, lists):
            hits = np.isin(found, test[person])
            ideal = DISCOUNTS[: min(len(test[person]), COUNT)].sum()
            each.append((hits.sum() / len(test[person]), (hits * DISCOUNTS[: len(hits)]).sum() / ideal))
    return np.array(each)


def judged(make, settings, pairs, test):
    model = make(**settings)
    model.fit(pairs, show_progress=False)
    return accuracy(model, pairs, test)


def tune(folder, trials, output, names):
    parts = {name: read(folder / name) for name in ("seen", "validation", "train", "test", "train_last", "test_last")}
    items = 1 + max(max(map(max, filter(None, parts[name])), default=0) for name in ("train", "test"))
    pairs = {name: matrix(parts[name], items) for name in ("seen", "train", "train_last")}
    result, people = {"trials": trials}, {}
    for name in names:
        draw, make = MODELS[name]
        chooser, best = random.Random(1), None
        for trial in range(trials):
            settings = draw(chooser)
            begin = time.process_time()
            recall, ndcg = judged(make, settings, pairs["seen"], parts["validation"]).mean(0)
            print(f"{name} {trial} {recall:.5f} {ndcg:.5f} {time.process_time() - begin:.0f}s {settings}", file=sys.stderr, flush=True)
            if best is None or recall * ndcg > best[0]:
                best = (recall * ndcg, settings)
        settings = best[1]
        result[f"{name}_settings"] = {key: round(value, 4) for key, value in settings.items()}
        for cut, train, test in (("", "train", "test"), ("_last", "train_last", "test_last")):
            each = judged(make, settings, pairs[train], parts[test])
            people[name + cut] = {"recall": each[:, 0].round(6).tolist(), "ndcg": each[:, 1].round(6).tolist()}
            for metric, value in zip(("recall", "ndcg"), each.mean(0)):
                result[f"{name}{cut}_{metric}"] = round(float(value), 5)
    json.dump(people, open(output, "w"))
    return result


def lift(ours, theirs):
    """mean(ours) / mean(theirs) - 1 for each peer, with the interval of RESAMPLES draws of persons."""
    ours = json.load(open(ours))
    peers = {name: each for path in theirs for name, each in json.load(open(path)).items()}
    chooser, result = np.random.default_rng(1), {}
    for name, each in peers.items():
        for metric in ("recall", "ndcg"):
            blend = np.array(ours["blend_last" if name.endswith("_last") else "blend"][metric])
            peer = np.array(each[metric])
            drawn = [chooser.integers(0, len(blend), len(blend)) for _ in range(RESAMPLES)]
            low, high = np.quantile([blend[some].mean() / peer[some].mean() - 1 for some in drawn], [0.025, 0.975])
            value = blend.mean() / peer.mean() - 1
            result[f"{name}_{metric}_lift"] = [round(float(figure), 4) for figure in (value, low, high)]
    return result


def main():
    match sys.argv[1:]:
        case ["tune", folder, trials, output, *names]:
            result = tune(Path(folder), int(trials), output, names or list(MODELS))
        case ["lift", ours, *theirs]:
            result = lift(ours, theirs)
        case _:
            sys.exit(__doc__)
    print("RESULT", json.dumps(result))


main()
