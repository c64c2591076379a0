"""The evaluator beside json-logic-js and flagd-core, on generated flags: tests/differential."""
import json
import os
import re
import subprocess
import time

from hoist import BUILD, NODE, SOAK, TOP, needs_npm

PAGE = (TOP / "docs/flag-format.md").read_text()


@needs_npm
def test_answers_as_json_logic_js_and_flagd_core_do_soak():
    """Or differs as docs/flag-format.md says, by classes of these names. In `make check` always the same 20,000 cases."""
    seed, cases = (int(os.environ.get("SEED") or time.time()), 1000000) if SOAK else (1, 20000)
    done = subprocess.run(["node", f"{TOP}/tests/differential/compare.mjs", f"{BUILD}/tests/differential/eval_lines", str(seed), str(cases)],
                          env=dict(os.environ, HOIST_NODE=NODE), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=3600)
    print(done.stdout[-12000:])
    assert done.returncode == 0
    assert f"{cases + 4 * 500 + 4} cases, 0 disagreements, seed {seed}" in done.stdout
    tally = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    documented = {name for row in re.findall(r"^\| (`.*?`) \|", PAGE, re.M) for name in re.findall(r"`([a-z ]+)`", row)}
    assert set(tally["flagd"]) | set(tally["apart"]) <= documented


def test_the_page_s_example_is_evaluated():
    file = re.search(r"^```json\n(.*?)^```", PAGE, re.M | re.S).group(1)
    case = {"file": file, "key": "enable-sync", "context": '{"email": "ana@example.com"}', "now": 0}
    done = subprocess.run([f"{BUILD}/tests/differential/eval_lines"], input=json.dumps(case) + "\n", capture_output=True, text=True, timeout=60)
    answer = json.loads(done.stdout)
    assert (answer["reason"], answer["variant"], answer["value"]) == ("TARGETING_MATCH", "on", True)
