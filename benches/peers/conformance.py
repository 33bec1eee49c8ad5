"""Runs the suite of the Open Inference Protocol on one server and tells what became of its cases: conformance.py SUITE HTTP GRPC."""
import importlib.util
import json
import sys

spec = importlib.util.spec_from_file_location("suite", sys.argv[1])
suite = importlib.util.module_from_spec(spec)
spec.loader.exec_module(suite)
found = {}
for word, module, url in (("http", suite.http, sys.argv[2]), ("grpc", suite.grpc, sys.argv[3])):
    for case, result in suite.check(suite.Side(module, url, word, {})).items():
        found[f"{word}: {case}"] = result
words = [result.split(":")[0] for result in found.values()]
counts = {word: words.count(word) for word in ("passed", "failed", "absent")}
print("RESULT " + json.dumps({**counts, "not_passed": {case: result for case, result in found.items() if result != "passed"}}))
