"""implicit's side of benches/factors.sh: implicit_factors.py fit|fit-exact|top|fold-in FILE THREADS, prints RESULT {json}."""

import json
import sys
import threading
import time

import numpy as np
import scipy.sparse as sparse
from implicit.als import AlternatingLeastSquares

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


def model_of(threads, exact=False):
    chosen = {"factors": 64, "iterations": 15, "alpha": ALPHA, "regularization": REGULARIZATION}
    return AlternatingLeastSquares(use_cg=not exact, num_threads=threads, random_state=1, **chosen)


def loss_of(model, pairs):
    """Σ_observed c (1 − ŷ)² + Σ_unobserved ŷ² + λ(‖X‖² + ‖Y‖²), as Dhow computes it."""
    users, items = model.user_factors.astype(np.float64), model.item_factors.astype(np.float64)
    rows, columns = pairs.nonzero()
    scores = np.einsum("ij,ij->i", users[rows], items[columns])
    everywhere = ((users.T @ users) * (items.T @ items)).sum()
    penalty = REGULARIZATION * ((users**2).sum() + (items**2).sum())
    return float((ALPHA * (1 - scores) ** 2 - scores**2).sum() + everywhere + penalty)


def fit(file, threads, exact):
    train, test, pairs = load(file)
    model = model_of(threads, exact)
    begin, wall = time.process_time(), time.perf_counter()
    model.fit(pairs, show_progress=False)
    taken, wall = time.process_time() - begin, time.perf_counter() - wall
    people = [person for person in range(10_000) if test[person]]
    lists, _ = model.recommend(people, pairs[people], N=20)
    gains = [sum(1 / np.log2(place + 2) for place, item in enumerate(found) if item == test[person][0]) for person, found in zip(people, lists)]
    return {"fit_cpu_s": round(taken, 2), "fit_wall_s": round(wall, 2), "loss": round(loss_of(model, pairs), 1), "ndcg": round(float(np.mean(gains)), 5), "pairs": int(pairs.nnz)}


def top(file, threads):
    _, _, pairs = load(file)
    model = model_of(threads)
    model.fit(pairs, show_progress=False)
    begin = time.process_time()
    for first in range(0, pairs.shape[0], 1000):
        model.recommend(np.arange(first, min(first + 1000, pairs.shape[0])), pairs[first : first + 1000], N=20)
    taken = time.process_time() - begin
    return {"top_cpu_s": round(taken, 2), "people_per_cpu_s": round(pairs.shape[0] / taken)}


def fold_in(file, threads):
    """Every request thread works for itself: threads of implicit's own within a request make it slower."""
    _, _, pairs = load(file)
    model = model_of(1)
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


def main():
    match sys.argv[1:]:
        case ["fit", file, threads]:
            result = fit(file, int(threads), False)
        case ["fit-exact", file, threads]:
            result = fit(file, int(threads), True)
        case ["top", file, threads]:
            result = top(file, int(threads))
        case ["fold-in", file, threads]:
            result = fold_in(file, int(threads))
        case _:
            sys.exit(__doc__)
    print("RESULT", json.dumps(result))


if __name__ == "__main__":
    main()
