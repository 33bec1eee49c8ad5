"""One window of load, during which a model is changed at an even pace: reload_window.py URL MODEL CHANGES SECONDS COMMAND…

Versions take turns so that each change but the first loads a model anew. COMMAND is the load generator, which prints the
latencies; what is added to its RESULT is how many changes there were, how long they took and how many failed.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.request

url, model, changes, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])


def post(path: str, body: dict):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


versions = sorted({entry["version"] for entry in post("/v2/repository/index", {}) if entry["name"] == model})
took, failed = [], 0


def change():
    global failed
    begin = time.monotonic()
    for number in range(changes):
        time.sleep(max(0.0, begin + (number + 0.5) * seconds / changes - time.monotonic()))
        start = time.monotonic()
        try:
            post(f"/v2/repository/models/{model}/load", {"parameters": {"version": versions[number % len(versions)]}})
        except OSError:
            failed += 1
        took.append(time.monotonic() - start)


assert changes == 0 or len(versions) >= 3, f"{model} has {len(versions)} versions; three are needed"
changer = threading.Thread(target=change)
changer.start()
done = subprocess.run(sys.argv[5:], capture_output=True, text=True)
changer.join()
sys.stderr.write(done.stderr)
figures = next(json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("RESULT "))
figures |= {"changes": changes, "failed_changes": failed, "change_ms_max": round(max(took, default=0) * 1000, 2)}
print("RESULT", json.dumps(figures))
sys.exit(done.returncode)
