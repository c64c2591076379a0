"""The evaluator beside json-logic-js and flagd-core, on generated flags: tests/differential."""
import os
import subprocess
import time

from hoist import BUILD, SOAK, TOP


def test_answers_as_json_logic_js_and_flagd_core_do_soak():
    """Or differs as docs/flag-format.md says. In `make check` always the same 20,000 cases."""
    seed, cases = (int(time.time()), 1000000) if SOAK else (1, 20000)
    done = subprocess.run(["node", f"{TOP}/tests/differential/compare.mjs", f"{BUILD}/tests/differential/eval_lines", str(seed), str(cases)],
                          env=dict(os.environ, HOIST_NODE=f"{BUILD}/node"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=3600)
    print(done.stdout[-12000:])
    assert done.returncode == 0
    assert f"{cases + 4 * 500} cases, 0 disagreements, seed {seed}" in done.stdout
