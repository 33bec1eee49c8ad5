"""Sends made-up requests to every route of the OpenAPI document and checks each answer against it: contract_client.py URL KEY CASES SEED IDS.

IDS is a JSON object from a path to the id that stands for {id} in it, so that not all requests end at something unknown.
Routes that never end, and the one that would revoke the key, are left out; answers of those are checked by tests of their own.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

url, key, cases, seed, ids = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], json.loads(sys.argv[5])

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
LEFT_OUT = r"^/v1/api-keys|/events$"
# Operations that have something to make up; each gets some dozen fixed cases of its schema's edges besides.
OPERATIONS = 110
# Only what its rail signed is taken.
SIGNED = "POST /v1/webhooks/payments/{rail}"

config = ['[checks.not_a_server_error]', 'expected-statuses = ["2xx", "3xx", "4xx"]']
# Without a model of texts there is nothing to compare with, and the route says so.
config += ['[[operations]]', 'include-path = "/v1/text-similarity"', 'checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]']
for path, id_ in ids.items():
    config += ["[[operations]]", f'include-path = "{path}"', f'parameters = {{ "path.id" = "{id_}" }}']
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "schemathesis.toml"
    file.write_text("\n".join(config) + "\n")
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(file), "run", f"{url}/openapi.json",
        "-H", f"Authorization: Bearer {key}", "--exclude-path-regex", LEFT_OUT, "--checks", CHECKS,
        "--phases", "coverage,fuzzing", "-n", str(max(1, cases // OPERATIONS)), "--seed", seed,
        "--request-timeout", "30", "--continue-on-failure", "--max-failures", "50", "--no-color",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
print(done.stdout, done.stderr)
generated = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
if done.returncode != 0 or generated is None:
    sys.exit("the contract is broken")
if int(generated[1]) < cases:
    sys.exit(f"only {generated[1]} of {cases} cases were made")
refused = re.findall(r"^401 Unauthorized.*\n((?:  - .*\n)+)", done.stdout, re.MULTILINE)
if "".join(refused) not in ("", f"  - {SIGNED}\n"):
    sys.exit("some operations were only refused")
