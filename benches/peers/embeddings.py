"""The two example models by ONNX Runtime on one thread, and how Dhow's answers compare.

    embeddings.py prepare MODELS CATALOGUE TEXTS WORK      writes texts.txt and image.f32
    embeddings.py run MODELS WORK                          times; compares with WORK/answers.json where it is
"""

import glob
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

RUNS, WARMUP = 100, 10


def prepare(models, catalogue, count, work):
    titles = []
    for path in sorted(glob.glob(f"{catalogue}/*/*.txt")):
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        titles += [title.strip() for title in re.findall(r"COL (?:title|name) VAL (.*?)(?= COL |\t|\n)", text)]
    titles = [title for title in dict.fromkeys(titles) if title]
    rng = np.random.default_rng(7)
    chosen = [titles[place] for place in sorted(rng.permutation(len(titles))[: int(count)])]
    chosen.insert(0, "samsung 50 inch plasma hdtv")
    Path(work, "texts.txt").write_text("\n".join(chosen[: int(count)]) + "\n", encoding="utf-8")
    session = onnxruntime.InferenceSession(f"{models}/efficientnet_lite0/efficientnet_lite0_fp32.onnx")
    shape = [n if isinstance(n, int) and n > 0 else 1 for n in session.get_inputs()[0].shape]
    rng.uniform(-1, 1, shape).astype("<f4").tofile(Path(work, "image.f32"))


def median_us(work):
    times = []
    for run in range(WARMUP + RUNS):
        begin = time.perf_counter()
        work()
        if run >= WARMUP:
            times.append((time.perf_counter() - begin) * 1e6)
    return round(float(np.median(times)), 1)


def run(models, work):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{models}/minilm_int8/model_int8.onnx", options)
    tokenizer = Tokenizer.from_file(f"{models}/minilm_int8/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    names = [value.name for value in session.get_inputs()]

    def embed(text):
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, {name: given[name] for name in names})[0][0]
        mean = hidden.mean(axis=0)
        return mean / np.linalg.norm(mean)

    texts = Path(work, "texts.txt").read_text(encoding="utf-8").splitlines()
    figures = {"text_us_p50": median_us(lambda: embed(texts[0]))}
    image = onnxruntime.InferenceSession(f"{models}/efficientnet_lite0/efficientnet_lite0_fp32.onnx", options)
    (taken,) = image.get_inputs()
    shape = [n if isinstance(n, int) and n > 0 else 1 for n in taken.shape]
    pixels = np.fromfile(Path(work, "image.f32"), dtype="<f4").reshape(shape)
    figures["image_us_p50"] = median_us(lambda: image.run(None, {taken.name: pixels}))
    if Path(work, "answers.json").exists():
        found = json.loads(Path(work, "answers.json").read_text())
        ours, theirs = np.array(found["vectors"]), np.array([embed(text) for text in texts])
        figures["cosine_min"] = round(float((ours * theirs).sum(axis=1).min()), 6)
        tops = [np.argsort(-(v @ v.T - 2 * np.eye(len(v))), axis=1)[:, :10] for v in (ours, theirs)]
        same = [set(a) == set(b) for a, b in zip(*tops)]
        shared = [len(set(a) & set(b)) / 10 for a, b in zip(*tops)]
        figures["same_top_10"], figures["shared_of_top_10"] = round(float(np.mean(same)), 4), round(float(np.mean(shared)), 4)
        given = image.run(None, {taken.name: pixels})
        gaps = [np.abs(np.array(a) - b.ravel()).max() / np.abs(b).max() for a, b in zip(found["outputs"], given)]
        figures["image_relative_gap_max"] = float(f"{max(gaps):.2e}")
    print("RESULT", json.dumps(figures))


{"prepare": prepare, "run": run}[sys.argv[1]](*sys.argv[2:])
