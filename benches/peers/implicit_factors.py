"""implicit's side of benches/factors.sh: implicit_factors.py fit|fit-exact|top|fold-in FILE [THREADS], prints RESULT {json}.

`tune FILE TRIALS` tunes ALS and BM25 neighbours on a validation part cut from train and reports them on the test part.
"""

import json
import random
import sys
import threading
import time

import numpy as np
import scipy.sparse as sparse
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender

ITEMS = 20_000
ALPHA, REGULARIZATION = 11.0, 5.0


def matrix(histories, items):
    counts = [len(history) for history in histories]
    columns = np.concatenate([np.asarray(history, np.int32) for history in histories])
    rows = np.repeat(np.arange(len(histories)), counts)
    return sparse.csr_matrix((np.ones(len(columns), np.float32), (rows, columns)), shape=(len(histories), items))


def load(file):
    histories = [[int(item) for item in line.split()] for line in open(file)]
    train = [history if len(history) < 2 else history[:-1] for history in histories]
    test = [[] if len(history) < 2 else history[-1:] for history in histories]
    return train, test, matrix(train, ITEMS)


def model_of(exact=False, **settings):
    chosen = {"factors": 64, "iterations": 15, "alpha": ALPHA, "regularization": REGULARIZATION, **settings}
    return AlternatingLeastSquares(use_cg=not exact, num_threads=1, random_state=1, **chosen)


def loss_of(model, pairs):
    """Σ_observed c (1 − ŷ)² + Σ_unobserved ŷ² + λ(‖X‖² + ‖Y‖²), as Dhow computes it."""
    users, items = model.user_factors.astype(np.float64), model.item_factors.astype(np.float64)
    rows, columns = pairs.nonzero()
    scores = np.einsum("ij,ij->i", users[rows], items[columns])
    everywhere = ((users.T @ users) * (items.T @ items)).sum()
    penalty = REGULARIZATION * ((users**2).sum() + (items**2).sum())
    return float((ALPHA * (1 - scores) ** 2 - scores**2).sum() + everywhere + penalty)


def fit(file, exact):
    train, test, pairs = load(file)
    model = model_of(exact)
    begin = time.process_time()
    model.fit(pairs, show_progress=False)
    taken = time.process_time() - begin
    people = [person for person in range(10_000) if test[person]]
    lists, _ = model.recommend(people, pairs[people], N=20)
    gains = [sum(1 / np.log2(place + 2) for place, item in enumerate(found) if item == test[person][0]) for person, found in zip(people, lists)]
    return {"fit_cpu_s": round(taken, 2), "loss": round(loss_of(model, pairs), 1), "ndcg": round(float(np.mean(gains)), 5), "pairs": int(pairs.nnz)}


def top(file):
    _, _, pairs = load(file)
    model = model_of()
    model.fit(pairs, show_progress=False)
    begin = time.process_time()
    for first in range(0, pairs.shape[0], 1000):
        model.recommend(np.arange(first, min(first + 1000, pairs.shape[0])), pairs[first : first + 1000], N=20)
    taken = time.process_time() - begin
    return {"top_cpu_s": round(taken, 2), "people_per_cpu_s": round(pairs.shape[0] / taken)}


def fold_in(file, threads):
    _, _, pairs = load(file)
    model = model_of()
    model.fit(pairs, show_progress=False)
    allowed = np.arange(3, ITEMS, 10)
    times, requests = [], 4_000 // threads

    def run(thread):
        for at in range(requests):
            row = pairs[(at * threads + thread) % pairs.shape[0]]
            begin = time.perf_counter()
            model.recommend(0, row, N=20, recalculate_user=True, items=allowed)
            times.append((time.perf_counter() - begin) * 1e6)

    workers = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    p50, p99, p999 = np.quantile(times, [0.5, 0.99, 0.999])
    return {"latency_us_p50": round(p50, 1), "latency_us_p99": round(p99, 1), "latency_us_p999": round(p999, 1), "requests": len(times)}


def cut(history):
    """The last fifth, at least one item, of a history of more than one."""
    kept = len(history) if len(history) < 2 else len(history) - max(1, len(history) // 5)
    return history[:kept], history[kept:]


def accuracy(model, pairs, test, people_max=None):
    people = [person for person in range(len(test)) if test[person]][:people_max]
    discounts = 1 / np.log2(np.arange(2, 22))
    recall, ndcg = [], []
    for first in range(0, len(people), 1000):
        some = people[first : first + 1000]
        lists, _ = model.recommend(some, pairs[some], N=20)
        for person, found in zip(some, lists):
            hits = np.isin(found, test[person])
            recall.append(hits.sum() / len(test[person]))
            ndcg.append((hits * discounts[: len(hits)]).sum() / discounts[: min(len(test[person]), 20)].sum())
    return float(np.mean(recall)), float(np.mean(ndcg))


def tune(file, trials):
    histories = [[int(item) for item in line.split()][1:] for line in open(file)]
    items = max(map(max, histories)) + 1
    train, test = zip(*map(cut, histories))
    seen, validation = zip(*map(cut, train))
    seen_pairs, pairs = matrix(seen, items), matrix(train, items)
    chooser = random.Random(1)
    result = {}

    def als():
        return model_of(
            factors=chooser.choice([64, 96, 128, 192, 256]),
            alpha=10 ** chooser.uniform(0.3, 2.2),
            regularization=10 ** chooser.uniform(-2.5, 1),
            iterations=15,
        )

    def bm25():
        return BM25Recommender(K=chooser.choice([20, 50, 100, 200, 500, 1000]), K1=10 ** chooser.uniform(-1, 2.3), B=chooser.uniform(0, 1), num_threads=1)

    for name, draw in (("als", als), ("bm25", bm25)):
        best = None
        for _ in range(trials):
            state = chooser.getstate()
            model = draw()
            model.fit(seen_pairs, show_progress=False)
            recall, ndcg = accuracy(model, seen_pairs, validation)
            if best is None or recall * ndcg > best[0]:
                best = (recall * ndcg, state)
        chooser.setstate(best[1])
        model = draw()
        model.fit(pairs, show_progress=False)
        recall, ndcg = accuracy(model, pairs, test)
        kept = ("factors", "alpha", "regularization", "K", "K1", "B")
        settings = {key: getattr(model, key) for key in kept if hasattr(model, key)}
        print(name, recall, ndcg, settings, flush=True)
        result |= {f"{name}_recall": round(recall, 5), f"{name}_ndcg": round(ndcg, 5), f"{name}_settings": str(settings)}
    return {**result, "trials": trials}


def main():
    match sys.argv[1:]:
        case ["fit", file]:
            result = fit(file, False)
        case ["fit-exact", file]:
            result = fit(file, True)
        case ["top", file]:
            result = top(file)
        case ["fold-in", file, threads]:
            result = fold_in(file, int(threads))
        case ["tune", file, trials]:
            result = tune(file, int(trials))
        case _:
            sys.exit(__doc__)
    print("RESULT", json.dumps(result))


if __name__ == "__main__":
    main()
