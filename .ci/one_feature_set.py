"""Checks that the binary and the whole workspace, tests included, build every package with the same features.

Where they differ, cargo compiles a heavy dependency twice. What is compared is cargo's own plan of a build, in which a
package for the target and the same one for a procedural macro stand apart. Prints what differs and exits with 1.
"""

import json
import os
import subprocess
import sys


def features(arguments: list[str]) -> dict[tuple, set[tuple]]:
    """What is compiled, and for whom → the features that this selection builds it with."""
    command = ["cargo", "build", "--locked", "--release", "--unit-graph", "-Z", "unstable-options", *arguments]
    # Cargo prints its plan only where unstable options are allowed; nothing is built.
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1")
    plan = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)
    found: dict[tuple, set[tuple]] = {}
    for unit in plan["units"]:
        what = (unit["pkg_id"], tuple(unit["target"]["kind"]), unit["mode"], unit["platform"])
        found.setdefault(what, set()).add(tuple(sorted(unit["features"])))
    return found


binary = features([])
workspace = features(["--workspace", "--all-targets"])
# The workspace may build a package once more in another way; what counts is that it builds the binary's too.
different = {what: (binary[what], workspace.get(what, set())) for what in binary if not binary[what] <= workspace.get(what, set())}
for what, (one, other) in sorted(different.items(), key=str):
    print(f"{what[0]} {what[1][0]}\n  binary:    {sorted(one)}\n  workspace: {sorted(other)}")
print(f"{len(binary)} parts of the binary compared, {len(different)} built with different features")
sys.exit(1 if different else 0)
