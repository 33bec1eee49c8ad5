"""Checks that the binary and the whole workspace, tests included, build every package with the same features.

Where they differ, cargo compiles a heavy dependency twice. Prints what differs and exits with 1.
"""

import subprocess
import sys


def features(arguments: list[str]) -> dict[str, set[str]]:
    """Package and version → the features that this selection builds it with."""
    command = ["cargo", "tree", "--locked", "--prefix", "none", "--format", "{p}|{f}", "--edges", "normal,build", *arguments]
    found: dict[str, set[str]] = {}
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        line = line.removesuffix(" (*)")
        if "|" in line:
            package, listed = line.split("|", 1)
            found.setdefault(package, set()).add(listed)
    return found


binary = features(["--package", "dhow"])
workspace = features(["--workspace", "--edges", "normal,build,dev"])
# The workspace may build a package once more for a build script; what counts is that it builds the binary's too.
different = {p: (binary[p], workspace.get(p, set())) for p in binary if not binary[p] <= workspace.get(p, set())}
for package, (one, other) in sorted(different.items()):
    print(f"{package}\n  binary:    {sorted(one)}\n  workspace: {sorted(other)}")
print(f"{len(binary)} packages of the binary compared, {len(different)} built with different features")
sys.exit(1 if different else 0)
