"""Who may do what with a release: by grants, by the roles of its plan, in its environments."""
import json

import pytest

from hoist import Lab, wait_until
from test_access import Person, grant, site

PLAN = """
release: {name}
title: {name}
owner: mara
author: mara
flags: [{name}.enabled]
interval: 100ms
roles: {{qa: [quinn, stan]}}
guards: [{{name: freshness, query: 'time() - min(timestamp(up) and up == 1)', pass: '<= 30'}}]
checks: [{{name: tests, run: ['true']}}]
announce: {{contact: '#demo'}}
phases:
  flags: {{steps: [{{check: [tests], sign: {{qa: tested}}}}]}}
  monitoring: {{steps: []}}
  staging: {{env: staging, steps: [{{percent: 100, soak: 1h, exposed: 1}}]}}
  production: {{steps: [{production}]}}
  watch: {{steps: []}}
"""
WHY = ("-m", "why")


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def plan(lab, name, everywhere):
    text = PLAN.format(name=name, production="")
    if everywhere:
        text = text.replace("production: {steps: []}", "production: {env: production, steps: [{percent: 100, soak: 1h, exposed: 1}]}")
    for env in ("staging", "production") if everywhere else ("staging",):
        lab.ok("set", f"{name}.enabled", "off", env=env, primary=lab.root)
    return lab.file(f"{name}.yaml", text)


def people(lab):
    """mara edits, quinn approves, olga operates, vera looks on; stan approves in staging alone."""
    made = {name: Person(lab, name) for name in ("mara", "quinn", "olga", "vera", "stan")}
    for name, role in (("mara", "editor"), ("quinn", "approver"), ("olga", "operator"), ("vera", "viewer")):
        grant(lab, name, role, "--key", made[name].key)
    grant(lab, "stan", "approver", "--key", made["stan"].key, "--env", "staging")
    return made.values()


def test_each_role_may_do_its_part_of_a_release(lab):
    primary = site(lab)
    mara, quinn, olga, vera, _ = people(lab)
    demo = plan(lab, "demo", True)
    for who in (quinn, olga, vera):
        who.denied("release", "start", demo, "--commit", "c", role="editor")
    assert lab.flagctl("release", "start", demo, "--commit", "c").code == 5
    mara.ok("release", "start", demo, "--commit", "c")
    for who in (olga, vera):
        who.denied("release", "sign", "demo", "qa", "--yes", role="approver")
        who.denied("release", "note", "demo", "-m", "hm", role="approver")
    vera.denied("release", "hold", "demo", *WHY, role="operator")
    vera.denied("release", "abort", "demo", *WHY, role="operator")
    assert lab.flagctl("release", "abort", "demo", *WHY).code == 5  # nobody
    quinn.ok("release", "sign", "demo", "qa", "--yes")
    assert said_of(vera, "demo") == [("started", "mara"), ("signed", "quinn")]
    # Whose signature it is, the key says: the plan's role is not enough.
    assert quinn.flagctl("release", "sign", "demo", "qa", "--yes", "--author", "stan").code == 5
    olga.ok("release", "hold", "demo", *WHY)
    olga.ok("release", "resume", "demo")
    olga.ok("release", "abort", "demo", *WHY)
    wait_until(lambda: vera.flagctl("release", "status", "demo").code == 11, what="rolled back")
    wanted = {("quinn", "release_start"), ("vera", "release_abort"), ("olga", "release_sign"), ("vera", "release_hold")}
    wait_until(lambda: wanted <= set(denials(quinn)), what="the denials are kept")
    assert "access: denied: vera may not release_abort" in primary.text()


def said_of(who, name):
    """Who said what of it, in order."""
    lines = who.flagctl("release", "log", name, "--json").out.splitlines()
    return [(e["event"], e["by"]) for e in map(json.loads, lines) if "by" in e]


def denials(who):
    return [(d["who"], d["command"]) for d in who.ok("access", "denied")["denied"]]


def test_a_role_in_staging_alone_reaches_releases_of_staging_alone(lab):
    site(lab)
    mara, _, _, _, stan = people(lab)
    for name, everywhere in (("both", True), ("one", False)):
        mara.ok("release", "start", plan(lab, name, everywhere), "--commit", "c")
    stan.denied("release", "sign", "both", "qa", "--yes", role="viewer")
    stan.denied("release", "abort", "both", *WHY, role="operator")
    stan.ok("release", "sign", "one", "qa", "--yes")
    assert stan.flagctl("release", "check", "one", "tests", "--commit", "c", cwd=lab.dir).code == 0
    assert ("signed", "stan") in said_of(stan, "one")


def test_an_editor_of_some_flags_starts_what_moves_those_alone(lab):
    site(lab)
    kim = Person(lab, "kim")
    for env in ("staging", "production"):
        grant(lab, "kim", "editor", "--key", kim.key, "--env", env, "--prefix", "mine.")
    kim.denied("release", "start", plan(lab, "other", True), "--commit", "c", role="editor")
