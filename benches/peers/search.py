"""Known-item search with bm25s on the pairs of catalog_match: search.py FOLDER.

The same queries, catalogue and judgement as `dhow evaluate search`: titles of left records with a match in test.txt, the
right records of all three files, what matches in any file relevant. Once over titles alone and once over all columns, with
the package's defaults (Lucene's BM25, English stop words) and no stemmer. Prints RESULT {json}.
"""

import json
import math
import sys
from pathlib import Path

import bm25s

CUTOFF = 10


def record(text: str) -> dict:
    columns = f" {text} ".split(" COL ")[1:]
    return {name.strip(): value.strip() for name, value in (column.split(" VAL ", 1) for column in columns)}


def title(of: dict) -> str:
    return of.get("title") or of.get("name") or ""


def read(folder: Path):
    numbers, catalogue, matches, asked = {}, [], {}, []
    for name in ["train", "valid", "test"]:
        for line in (folder / f"{name}.txt").read_text().splitlines():
            left, right, label = line.split("\t")
            if right not in numbers:
                numbers[right] = len(catalogue)
                catalogue.append(record(right))
            if label == "1":
                query = title(record(left))
                matches.setdefault(query, set()).add(numbers[right])
                if name == "test":
                    asked.append(query)
    return catalogue, {query: matches[query] for query in sorted(set(asked)) if query}


def quality(ranking, relevant):
    gains = [1 / math.log2(place + 2) if one in relevant else 0.0 for place, one in enumerate(ranking[:CUTOFF])]
    best = sum(1 / math.log2(place + 2) for place in range(min(len(relevant), CUTOFF)))
    return sum(gain > 0 for gain in gains) / len(relevant), sum(gains) / best


def judge(texts, queries):
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    tokens = bm25s.tokenize(list(queries), stopwords="en", show_progress=False)
    found, _ = index.retrieve(tokens, k=CUTOFF, show_progress=False)
    figures = [quality(list(ranking), relevant) for ranking, relevant in zip(found, queries.values())]
    return {"recall_10": round(sum(f[0] for f in figures) / len(figures), 4), "ndcg_10": round(sum(f[1] for f in figures) / len(figures), 4)}


def main():
    results = {}
    for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if (path / "test.txt").is_file()):
        catalogue, queries = read(folder)
        results[folder.name] = {
            "queries": len(queries),
            "products": len(catalogue),
            "titles": judge([title(of) for of in catalogue], queries),
            "all_columns": judge([" ".join(of.values()) for of in catalogue], queries),
        }
    print("RESULT " + json.dumps(results))


main()
