"""Prometheus and Alertmanager over a lab's processes, with the files of deploy/."""
import json
import sys
import time
import urllib.parse
import urllib.request

from hoist import TOP, free_port, wait_until

sys.path.append(str(TOP / "examples/launch"))
from shortened import scaled  # noqa: E402,F401


class Watch:
    """Both of them, at an interval of scrape and evaluation, and where `faster` is given with rules that many times as fast; `secret` is a file with
    the token of the primary's webhook, and without one there is no Alertmanager."""

    def __init__(self, lab, hoistds, service, secret=None, interval_s=1, faster=1, port=None):
        self.port, self.faster, self.interval_s, self.targets = port or free_port(), faster, interval_s, len(hoistds) + 1
        here = lab.dir / "watch"
        here.mkdir()
        for rules in (TOP / "deploy/prometheus").glob("*.rules.yml"):
            (here / rules.name).write_text(scaled(rules.read_text(), faster) if faster > 1 else rules.read_text())
        alertmanager = self.start_alertmanager(lab, here, hoistds[0], secret) if secret else free_port()
        prometheus = (TOP / "deploy/prometheus/prometheus.yml").read_text().replace("_interval: 15s", f"_interval: {int(interval_s * 1000)}ms")
        targets = ", ".join(f"'127.0.0.1:{d.http}'" for d in hoistds)
        for was, now in ("127.0.0.1:9093", f"127.0.0.1:{alertmanager}"), ("'127.0.0.1:7501', '127.0.0.1:7502'", f"'127.0.0.1:{service.port}'"), \
                        ("'127.0.0.1:7480', '127.0.0.1:8016'", targets):
            assert was in prometheus, was
            prometheus = prometheus.replace(was, now)
        (here / "prometheus.yml").write_text(prometheus)
        lab.process(["prometheus", f"--config.file={here}/prometheus.yml", f"--storage.tsdb.path={here}/prometheus",
                     f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], "prometheus")

    @staticmethod
    def start_alertmanager(lab, here, primary, secret):
        port = free_port()
        (here / "alertmanager.yml").write_text((TOP / "deploy/alertmanager/alertmanager.yml").read_text().replace(
            "7480", str(primary.http)).replace("credentials_file: webhook-token", f"credentials_file: {secret}"))
        lab.process(["prometheus-alertmanager", f"--config.file={here}/alertmanager.yml", f"--storage.path={here}/alertmanager",
                     f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"], "alertmanager")
        return port

    def get(self, path, **query):
        where = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(where, timeout=10) as answer:
            return json.load(answer)["data"]

    def wait_seen(self):
        """Until it has seen every process."""
        wait_until(lambda: sum(float(r["value"][1]) for r in self.query("up")) == self.targets, 60000, what="Prometheus has seen all")

    def query(self, expr):
        return self.get("/api/v1/query", query=expr)["result"]

    def alerts(self, state="firing"):
        """The names of those that fire now, or are pending."""
        return {a["labels"]["alertname"] for a in self.get("/api/v1/alerts")["alerts"] if a["state"] == state}

    def history(self, since):
        """Each (alert, state) since then: its first moment and its last one."""
        found = {}
        for series in self.query(f"ALERTS[{int(time.time() - since) + 2}s]"):
            times = [at for at, _ in series["values"] if at >= since]
            if times:
                name = (series["metric"]["alertname"], series["metric"]["alertstate"])
                first, last = found.get(name, (times[0], times[-1]))
                found[name] = (min(first, times[0]), max(last, times[-1]))
        return found

    def values(self, expr, since):
        """What a panel that asks so would have shown since then."""
        now = time.time()
        expr = scaled(expr, self.faster) if self.faster > 1 else expr
        result = self.get("/api/v1/query_range", query=expr, start=since, end=now, step=0.5)["result"]
        return [float(value) for series in result for _, value in series["values"]]
