"""The command line: what set means, exit codes, who is asked, what is printed."""
import json
import os
import re
import subprocess

from hoist import BUILD, clean_env, wait_until

TARGETED = {"flags": {"t": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off",
                            "targeting": {"if": [{"==": [{"var": "plan"}, "pro"]}, "on"]}}}}


def test_set_creates_a_boolean_and_moves_it(lab):
    lab.primary()
    done = lab.ok("set", "sync", "on")
    assert done["created"] == ["sync"] and done["env"] == "production" and len(done["epoch"]) == 16
    assert lab.ok("set", "sync", "off")["changed"] == ["sync"]
    same = lab.ok("set", "sync", "off")
    assert same["result"] == "unchanged" and same["version"] == done["version"] + 1
    got = lab.ok("get", "sync")
    assert (got["value"], got["variant"], got["reason"]) == (False, "off", "STATIC")
    assert got["definition"]["variants"] == {"off": False, "on": True} and got["touched"] == done["version"] + 1


def test_set_takes_values_of_each_type(lab):
    lab.primary()
    lab.ok("set", "n", "2.5", "--type", "number")
    lab.ok("set", "s", "hello there", "--type", "string")
    lab.ok("set", "o", '{"a": [1, 2]}', "--type", "object")
    assert lab.ok("get", "n")["value"] == 2.5
    assert lab.flagctl("get", "s", "--raw").out == "hello there\n"
    assert lab.ok("get", "o")["value"] == {"a": [1, 2]}
    lab.ok("set", "n", "7")
    assert lab.flagctl("get", "n", "--raw").out == "7\n"
    bad = lab.flagctl("set", "n", "many")
    assert bad.code == 2
    guess = lab.flagctl("set", "unheard", "of")
    assert guess.code == 2 and "--type" in guess.err


def test_set_on_a_flag_with_rules_names_the_three_ways(lab):
    lab.primary()
    lab.ok("import", lab.file("t.json", TARGETED))
    refused = lab.flagctl("set", "t", "on")
    assert refused.code == 2
    for way in ("--everyone", "--default", "kill"):
        assert way in refused.err
    lab.ok("set", "t", "on", "--default")
    assert "targeting" in lab.ok("get", "t")["definition"]
    lab.ok("set", "t", "on", "--everyone")
    assert "targeting" not in lab.ok("get", "t")["definition"]


def test_if_version_refuses_when_the_environment_moved_on(lab):
    lab.primary()
    first = lab.ok("set", "k", "on")
    lab.ok("set", "k", "off")
    late = lab.flagctl("set", "k", "on", "--if-version", first["version"], "--json")
    assert late.code == 3 and late.error["exit"] == 3 and late.error["code"] == "conflict"
    epoch, version = first["epoch"], first["version"] + 1
    assert lab.flagctl("set", "k", "on", "--if-version", f"{epoch}:{version}").code == 0
    assert lab.flagctl("set", "k", "off", "--if-version", f"0000000000000001:{version + 1}").code == 3


def test_is_and_raw_are_for_shells(lab):
    lab.primary()
    lab.ok("set", "k", "on")
    assert lab.flagctl("is", "k").code == 0
    assert lab.flagctl("is", "k", "off").code == 1
    assert lab.flagctl("get", "k", "--raw").out == "true\n"
    assert lab.flagctl("is", "nobody").code == 1
    assert lab.flagctl("get", "nobody").code == 1


def test_delete_and_list_by_prefix(lab):
    lab.primary()
    for key in ("a.one", "a.two", "b.one"):
        lab.ok("set", key, "on")
    assert [f["key"] for f in lab.ok("list", "a.")["flags"]] == ["a.one", "a.two"]
    assert lab.ok("delete", "a.one")["deleted"] == ["a.one"]
    assert [f["key"] for f in lab.ok("list")["flags"]] == ["a.two", "b.one"]
    assert lab.flagctl("delete", "a.one").code == 1


def test_log_says_who_changed_what(lab):
    lab.primary()
    lab.ok("set", "k", "on", "-m", "because", "--author", "ana")
    lab.ok("set", "k", "off")
    log = lab.ok("log")
    assert log["head"] == 3 and [c["version"] for c in log["changes"]][:2] == [3, 2]
    change = log["changes"][1]
    assert (change["author"], change["message"], change["kind"]) == ("ana", "because", "set")
    assert change["edits"][0]["key"] == "k"
    assert log["changes"][0]["prev"] == change["hash"]
    assert log["changes"][0]["edits"][0]["before"]["defaultVariant"] == "on"
    assert log["changes"][0]["edits"][0]["after"]["defaultVariant"] == "off"


def test_the_author_over_ipc_is_the_peers_user(lab):
    path = f"ipc://{lab.dir}/p.sock"
    lab.primary("--listen", path)
    lab.ok("set", "k", "on", primary=path)
    import pwd
    assert lab.ok("log", primary=path)["changes"][0]["author"] == pwd.getpwuid(os.getuid()).pw_name


def test_environments_are_made_and_listed(lab):
    lab.primary()
    assert [e["env"] for e in lab.ok("env", "list")["environments"]] == ["production"]
    assert lab.flagctl("env", "create", "staging").code == 0
    assert sorted(e["env"] for e in lab.ok("env", "list")["environments"]) == ["production", "staging"]
    unknown = lab.flagctl("set", "k", "on", env="nowhere")
    assert unknown.code == 2 and "staging" in unknown.err
    assert lab.flagctl("env", "create", "No Such Name!").code == 2


def test_errors_are_json_with_a_mend(lab):
    lab.primary()
    error = lab.flagctl("set", "k" * 300, "on", "--json").error
    assert error["exit"] == 2 and error["code"] and error["message"] and error["mend"]


def test_no_primary_is_exit_7_or_1_and_names_the_way(lab):
    nobody = lab.flagctl("set", "k", "on", "--timeout", "1s", primary="tcp://127.0.0.1:1")
    assert nobody.code in (1, 7) and "127.0.0.1:1" in nobody.err
    no_store = lab.flagctl("get", "k", store=lab.dir / "none")
    assert no_store.code not in (0, 1) or "no store" in no_store.err.lower()


def test_export_is_sorted_and_stable(lab):
    lab.primary()
    for key in ("z", "a", "m"):
        lab.ok("set", key, "on")
    first = lab.flagctl("export").out
    assert list(json.loads(first)["flags"]) == ["a", "m", "z"] and first.endswith("}\n")
    lab.ok("set", "a", "off")
    lab.ok("set", "a", "on")
    assert lab.flagctl("export").out == first


def test_help_and_completion(lab):
    shown = lab.flagctl("--help")
    assert shown.code == 0
    for word in ("set", "get", "is", "list", "delete", "env", "apply", "import", "export", "watch", "status", "log"):
        assert word in shown.out
        assert lab.flagctl(word, "--help").code == 0
    script = lab.flagctl("completion", "bash")
    assert script.code == 0
    import subprocess
    line = 'COMP_WORDS=(flagctl se); COMP_CWORD=1; $(complete -p flagctl | sed "s/.*-F \\([^ ]*\\).*/\\1/"); echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", f"source /dev/stdin; {line}"], input=script.out, capture_output=True, text=True)
    assert "set" in done.stdout, done
    assert lab.flagctl("sett", "k").code == 2


def test_output_has_colour_only_on_a_terminal(lab):
    lab.primary()
    lab.ok("set", "k", "on")
    assert "\x1b[" not in lab.flagctl("get", "k").out + lab.flagctl("list").out
    import pty
    import subprocess
    parent, child = pty.openpty()
    p = subprocess.Popen([BUILD / "flagctl", "get", "k"], stdout=child, stderr=child, env=clean_env(HOIST_PRIMARY=lab.url, TERM="xterm"))
    p.wait(20)
    os.close(child)
    shown = os.read(parent, 4096).decode()
    os.close(parent)
    assert "k" in shown and "production" in shown and "\x1b[" in shown


def test_every_error_is_json_when_that_is_asked(lab):
    lab.primary()
    for words in (["set", "k", "on", "--bogus"], ["gte", "k"], ["--json", "get", "k"], ["get"], ["get", "k", "--at", "x"]):
        wrong = lab.flagctl(*words, "--json")
        assert wrong.code == 2 and wrong.error["exit"] == 2 and wrong.error["message"], words
    silent = lab.flagctl("get", "k", "--json", "--timeout", "300ms", primary="tcp://127.0.0.1:1")
    assert silent.code == 7 and silent.error["exit"] == 7
    assert lab.flagctl("set", "k", "on", "--author", "x" * 300, "--json").error["at"] == "author"


def test_an_answer_that_cannot_be_written_was_not_given(lab):
    primary = lab.primary()
    lab.ok("set", "k", "on")
    with open("/dev/full", "w") as full:
        for words, code in ((["export"], 1), (["list"], 1), (["set", "k", "off"], 7)):
            done = subprocess.run([BUILD / "flagctl", *words], env=clean_env(HOIST_PRIMARY=lab.url), stdout=full, stderr=subprocess.PIPE, text=True)
            assert done.returncode == code and "could not be written" in done.stderr, words
    assert lab.ok("get", "k", store=primary.store)["variant"] == "off"


def test_what_people_wrote_does_not_steer_the_terminal(lab):
    lab.primary()
    assert lab.flagctl("set", "k", "on", "--author", "e\x1bve").code == 2
    lab.ok("set", "k", "on", "-m", "\x1b[31mred\nv9  2026-01-01T00:00:00  root  set")
    shown = lab.flagctl("log", "--limit", "1")
    assert "\x1b" not in shown.out and "\\x1b[31mred\\nv9" in shown.out
    assert lab.ok("log", "--limit", "1")["changes"][0]["message"].startswith("\x1b[31mred\n")


def test_a_value_may_begin_with_a_dash(lab):
    lab.primary()
    lab.ok("set", "n", "-5", "--type", "number")
    assert lab.ok("get", "n")["value"] == -5
    lab.ok("set", "n", "-6", "-m", "-7")
    assert lab.ok("log", "--limit", "1")["changes"][0]["message"] == "-7"
    assert "--limit" in lab.flagctl("log", "--limit", "-5").err


def test_an_unknown_environment_is_bad_input_everywhere(lab):
    primary = lab.primary()
    for command in (["status"], ["list"], ["log"], ["export"], ["get", "k"], ["diff", 1, 1], ["history", "k"]):
        for who in ([], ["--store", primary.store]):
            wrong = lab.flagctl(*command, "--env", "nope", "--json", *who)
            assert wrong.code == 2 and "production" in wrong.error["mend"], (command, who)


def test_an_upstream_that_was_never_heard_has_no_last_word(lab):
    lab.url = "tcp://127.0.0.1:1"
    agent = lab.agent(ready=False)
    shown = wait_until(lambda: "not connected" in (s := lab.flagctl("status", store=agent.store)).out and s)
    assert "last word" not in shown.out
    empty = lab.flagctl("list", "--json", store=agent.store)
    assert empty.code == 7 and empty.error["code"] == "not-ready"


LATIN = "caf\udce9"  # the bytes of "café" in Latin-1


def test_what_is_not_utf8_is_refused_and_not_left_out(lab):
    lab.primary("--env", "production", "--env", "staging")
    lab.ok("set", "k", "on", env="production")
    lab.ok("set", "k", "off", env="production")
    lab.ok("set", "k", "on", env="staging")
    before = lab.head()["version"]
    for words in (["rollback", "--to", before - 1, "--flag", LATIN], ["promote", "staging", "production", LATIN, "--yes"], ["kill", "k", LATIN],
                  ["restore", LATIN], ["kill", "k", "--variant", LATIN], ["set", "f", "on", "--percent", "50", "--if", f"city = {LATIN}"],
                  ["set", "k", "off", "-m", LATIN], ["is", "k", LATIN], ["log", "--flag", LATIN], ["release", "hold", LATIN, "-m", "x"],
                  ["env", "set", "production", "--metadata", f"{LATIN}=x"], ["access", "revoke", "ana", LATIN]):
        env = None if words[0] in ("promote", "env", "access") else "production"
        wrong = lab.flagctl(*words, "--json", env=env)
        assert wrong.code == 2 and "UTF-8" in wrong.error["message"] and "UTF-8" in wrong.error["mend"], (words, wrong)
    assert lab.head()["version"] == before
    wrong = lab.flagctl("set", "k", "off", env=LATIN)
    assert wrong.code == 2 and "$HOIST_ENV" in wrong.err


def test_a_file_may_be_named_in_any_bytes(lab):
    lab.primary()
    path = lab.file(f"{LATIN}.json", TARGETED)
    assert lab.ok("import", path)["created"] == ["t"]
    assert lab.flagctl("diff", path).code == 0 and lab.flagctl("lint", path, "--json").code == 0
    lab.ok("target", "t", "--file", lab.file(f"{LATIN}.rule", {"if": [True, "on"]}))
    new = lab.flagctl("key", "new", lab.dir / LATIN)
    assert new.code == 0 and lab.flagctl("get", "t", "--identity", lab.dir / LATIN).code == 0


def test_settings_of_an_environment_are_taken_by_env_set_alone(lab):
    lab.primary()
    for words in (["create", "qa"], ["list"], ["show", "production"], ["diff", "production", "production"], ["epoch", "--new"]):
        for setting in (["--protected", "on"], ["--metadata", "owner=x"]):
            wrong = lab.flagctl("env", *words, *setting, "--json")
            assert wrong.code == 2 and "env set" in wrong.error["mend"], (words, wrong)
    assert [e["env"] for e in lab.ok("env", "list")["environments"]] == ["production"]
    lab.ok("env", "set", "production", "--protected", "on", "--metadata", "owner=x")
    assert lab.ok("env", "show", "production")["protected"] is True


def test_a_kill_lists_only_the_options_that_it_takes(lab):
    lab.primary()
    lab.ok("set", "k", "on")
    assert "--force" not in lab.flagctl("kill", "--help").out and "--force" in lab.flagctl("restore", "--help").out
    refused = lab.flagctl("kill", "k", "--force")
    assert refused.code == 2 and "no option --force" in refused.err
    assert lab.ok("get", "k")["variant"] == "on"


def test_a_time_that_is_none_is_refused(lab):
    lab.primary()
    lab.ok("set", "k", "on")
    for time in ("2026-02-31T00:00:00Z", "2026-01-01T25:00:00Z", "2026-13-01T00:00:00Z"):
        for words in (["log", "--since", time], ["eval", "k", "--time", time]):
            refused = lab.flagctl(*words)
            assert refused.code == 2 and time in refused.err, (words, refused)


def test_a_difference_of_more_flags_than_are_shown_says_so(lab):
    lab.primary()
    flags = {f"f{i:04}": {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"} for i in range(1003)}
    path = lab.file("many.json", {"flags": flags})
    for words in (["diff", path], ["apply", path, "--dry-run"]):
        shown = lab.flagctl(*words).out
        assert shown.count("  + f") == 1000 and "… and 3 more\n" in shown, shown[-200:]
    lab.ok("import", path, "--force")
    shown = lab.flagctl("rollback", "--last").out
    assert shown.count("  - f") == 1000 and "… and 3 more\n" in shown, shown[-200:]


def test_no_role_is_told_of_a_token_file_that_it_does_not_take():
    for role in ("primary", "relay", "agent", "dev"):
        shown = subprocess.run([BUILD / "hoistd", role, "--help"], capture_output=True, text=True, timeout=20).stdout
        takes = {option for option in ("--http-access", "--http-token-file") if re.search(f"^ +{option}", shown, re.M)}
        assert "--http-access" in takes
        assert ("--http-token-file" in shown) == ("--http-token-file" in takes), role
