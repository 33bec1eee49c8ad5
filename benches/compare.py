"""Runs Dhow's command and a peer's in turn and archives what each run took.

    benches/compare.py --name sliding-windows --runs 5 \
        --dhow 'target/release/bench_features FILE' --peer 'python3 benches/peers/bytewax_sliding.py FILE'

Every run is a whole process, measured by the operating system when it ends: CPU seconds (user and system), wall time,
peak memory. The two alternate, after one uncounted run of each, so that a machine whose speed drifts treats both
alike. Printed are medians and the ratio of each pair; the raw numbers, commands, versions, commit and machine go to
benches/runs/. A command may print one line `RESULT {json}`, whose figures are archived with the run.
Without --peer the command is measured alone.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS_MAX = 100
FOLDER = Path(__file__).resolve().parent / "runs"


def measure(command: str) -> dict:
    """One run of a command: what it used, and the last RESULT line that it printed."""
    with tempfile.TemporaryFile("w+") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(shlex.split(command), stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        output.seek(0)
        text = output.read()
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"`{command}` failed with status {os.waitstatus_to_exitcode(status)}:\n{text[-4000:]}")
    results = [json.loads(line[7:]) for line in text.splitlines() if line.startswith("RESULT ")]
    if not results and text.lstrip().startswith("{"):
        results = [json.loads(text)]
    return {
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 4),
        "wall_s": round(wall, 4),
        "peak_memory_mb": round(usage.ru_maxrss / 1024, 1),
        **(results[-1] if results else {}),
    }


def first_line(command: str) -> str:
    """What a program says of its version; empty where it is absent."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=20, cwd=FOLDER.parent)
        return (done.stdout or done.stderr).strip().split("\n")[0]
    except (OSError, subprocess.TimeoutExpired):
        return ""


def machine() -> dict:
    """The machine that the figures are of."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = next((line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {"cpu": model, "cores": os.cpu_count(), "memory_gb": round(int(memory) / 1e6, 1), "kernel": platform.release()}


def portable(command: str) -> str:
    """A command as it stands in the archive: folders by what they are called everywhere, not by where this machine has them."""
    variables = ("DHOW_DATA_DIR", "DHOW_TOOLS", "CARGO_TARGET_DIR")
    named = {os.environ.get(variable, ""): f"${variable}" for variable in variables} | {str(FOLDER.parents[1]): "."}
    for folder, name in named.items():
        command = command.replace(folder, name) if folder.startswith("/") else command
    return re.sub(r"(?<![^\s=])" + re.escape(tempfile.gettempdir()) + r"/[^/ ]+", "$TMPDIR", command)


def archive(name: str, record: dict) -> Path:
    """Writes the record where earlier ones lie; one file a run, named by its time."""
    FOLDER.mkdir(exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc)
    record = {
        "name": name,
        "time": now.isoformat(timespec="seconds"),
        "commit": first_line("git rev-parse --short=12 HEAD") + ("-changed" if first_line("git status --porcelain -uno") else ""),
        "machine": machine(),
        "rustc": first_line("rustc --version"),
        "python": platform.python_version(),
        **record,
    }
    path = FOLDER / f"{now:%Y%m%dT%H%M%SZ}-{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def medians(runs: list[dict]) -> dict:
    """The median of every number that all runs have."""
    names = [key for key, value in runs[0].items() if isinstance(value, (int, float)) and all(key in run for run in runs)]
    return {name: statistics.median(run[name] for run in runs) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument("--dhow", required=True, help="the command of ours")
    parser.add_argument("--peer", help="the command of the peer")
    parser.add_argument("--peer-version", default="", help="the peer's name and version, for the archive")
    parser.add_argument("--runs", type=int, default=5, choices=range(1, RUNS_MAX + 1), metavar=f"1–{RUNS_MAX}")
    parser.add_argument("--no-warmup", action="store_true", help="count the first run, for commands that warm up themselves")
    parser.add_argument("--note", default="", help="a sentence for the archive")
    arguments = parser.parse_args()

    sides = {"dhow": arguments.dhow, **({"peer": arguments.peer} if arguments.peer else {})}
    for command in [] if arguments.no_warmup else sides.values():
        measure(command)
    runs: dict[str, list[dict]] = {side: [] for side in sides}
    for _ in range(arguments.runs):
        for side, command in sides.items():
            runs[side].append(measure(command))
    summary = {side: medians(taken) for side, taken in runs.items()}
    for side in sides:
        print(side, "  ".join(f"{key} {value:,.4g}" for key, value in summary[side].items()))
    if arguments.peer:
        ratios = [ours["cpu_s"] / theirs["cpu_s"] for ours, theirs in zip(runs["dhow"], runs["peer"])]
        summary["cpu_ratio_dhow_to_peer"] = round(statistics.median(ratios), 4)
        print(f"CPU seconds, dhow / peer: {summary['cpu_ratio_dhow_to_peer']} (pairs: {', '.join(f'{r:.3f}' for r in ratios)})")
    record = {"commands": {side: portable(command) for side, command in sides.items()}, "peer_version": arguments.peer_version, "note": arguments.note, "medians": summary, "runs": runs}
    print("archived as", os.path.relpath(archive(arguments.name, record)))


if __name__ == "__main__":
    main()
