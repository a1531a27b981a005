"""Dashboards, alerts and recording rules: every query against a real Prometheus that scraped a real farm under load, every alert by promtool."""

import json
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from helm import ENGINE, render
from support import suite
from support.farm import DOUBLE, Api, Farm, free_port, ready, wait_until
from support.prometheus import Server, programs

GRAFANA, PROMETHEUS = suite.ROOT / "deploy/grafana", suite.ROOT / "deploy/prometheus"
REFERENCE = PROMETHEUS / "metrics.md"
RULES = ENGINE.yaml((PROMETHEUS / "rules.yaml").read_text())["groups"]
FILES = sorted(GRAFANA.glob("*.json"))
# Windows of a few seconds, since the load lasts for some.
WINDOW = "15s"
METRIC = re.compile(r"\batelier_[a-z0-9_]+")
# What one run of the farm cannot show: series that Prometheus makes of histograms.
PARTS = re.compile(r"_(bucket|sum|count)$")

LOAD = [
    # (prompt, options): what goes well, what is mended or not, what fails, what is drawn without thought.
    ("an orange cat on the moon", {}),
    ("a cat on a beach", {"priority": "interactive"}),
    ("a red balloon over a lake", {"think": "off", "priority": "interactive"}),
    ("two dogs [misses]", {"priority": "batch", "max_rounds": 3}),
    ("three dogs [hopeless]", {"max_rounds": 2}),
    ("a mug, a lamp, a clock and a fern on a desk [flaky:render]", {}),
    ("a radio on a hill [impossible:plan]", {}),
    ("a robot in the rain [impossible:render]", {}),
    ("a tree in the snow [blend]", {}),
]


def panels() -> list:
    """(dashboard, title, expression) of every query."""
    found = []
    for file in FILES:
        for panel in json.loads(file.read_text())["panels"]:
            found += [(file.stem, panel["title"], target["expr"]) for target in panel["targets"]]
    return found


def alerts() -> list:
    return [rule for group in RULES for rule in group["rules"] if "alert" in rule]


def records() -> list:
    return [rule for group in RULES for rule in group["rules"] if "record" in rule]


def scrape(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return answer.read().decode()


def reference(shown: str) -> str:
    """Every metric as a table, from what the programs say of themselves."""
    texts = dict(re.findall(r"^# HELP (atelier_\w+) (.*)$", shown, re.MULTILINE))
    kinds = dict(re.findall(r"^# TYPE (atelier_\w+) (\w+)$", shown, re.MULTILINE))
    labels = {}
    for name, inside in re.findall(r"^(atelier_\w+)\{(.*?)\} ", shown, re.MULTILINE):
        bare = name if name in kinds else PARTS.sub("", name)
        labels.setdefault(bare, set()).update(set(re.findall(r'(\w+)="', inside)) - {"le"})
    rows = [f"| `{name}` | {kinds[name]} | {', '.join(sorted(labels.get(name, ())))} | {texts[name]} |" for name in sorted(texts)]
    return "\n".join(["| metric | kind | labels | what |", "|---|---|---|---|", *rows]) + "\n"


def typescript(boards) -> str:
    """What the compiler says of dashboards as values of Grafana's type."""
    types = suite.DEPS / "types/node_modules"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "node_modules").symlink_to(types)
        source = Path(folder) / "boards.ts"
        source.write_text('import { Dashboard } from "@grafana/schema";\n'
                          f"export const boards: Dashboard[] = {json.dumps(boards, indent=1)};\n")
        options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"]
        done = subprocess.run(["node", str(types / "typescript/lib/tsc.js"), *options, str(source)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout


class Written(unittest.TestCase):
    """What holds without a farm."""

    def test_the_files_are_what_the_code_makes(self):
        import importlib.util
        spec = importlib.util.spec_from_file_location("dashboards_as_code", GRAFANA / "dashboards.py")
        code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(code)
        texts = code.texts()
        self.assertEqual(sorted(texts), [file.name for file in FILES])
        for name, text in texts.items():
            self.assertEqual((GRAFANA / name).read_text(), text, f"{name}: run python3 -B deploy/grafana/dashboards.py")

    def test_panels_do_not_overlap_and_say_what_they_tell(self):
        for file in FILES:
            board = json.loads(file.read_text())
            taken = set()
            for panel in board["panels"]:
                self.assertTrue(panel["description"].endswith("."), panel["title"])
                place = panel["gridPos"]
                cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
                self.assertFalse(cells & taken, panel["title"])
                self.assertLessEqual(place["x"] + place["w"], 24)
                taken |= cells
            self.assertEqual(len({p["title"] for p in board["panels"]}), len(board["panels"]), file.name)

    def test_grafanas_types_fit(self):
        if not shutil.which("node"):
            self.skipTest("no node: the types of @grafana/schema were not asked")
        boards = [json.loads(file.read_text()) for file in FILES]
        self.assertEqual(typescript(boards), "")
        del boards[0]["panels"][0]["title"]
        boards[0]["graphTooltips"] = 1
        self.assertIn("'\"graphTooltips\"' does not exist in type 'Dashboard'", typescript(boards))

    def test_every_alert_has_a_runbook_entry_and_a_case_that_fires(self):
        book = (suite.ROOT / "deploy/runbook.md").read_text()
        headings = {line.strip("# ").lower().replace(" ", "-") for line in book.splitlines() if line.startswith("#")}
        cases = (PROMETHEUS / "tests.yaml").read_text()
        for alert in alerts():
            name = alert["alert"]
            self.assertIn(alert["annotations"]["runbook"].split("#")[1], headings, name)
            self.assertRegex(cases, rf"alertname: {name}\n\s+exp_alerts:", f"{name} is never shown to fire")
            self.assertIn(f"eval_time: 9h, alertname: {name}}}", cases, f"{name} is never shown to be silent")

    def test_promtool_is_content(self):
        promtool = programs()["promtool"]
        for arguments in (["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]):
            done = subprocess.run([promtool, *arguments], cwd=PROMETHEUS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_chart_carries_the_same_rules_and_dashboards(self):
        objects, _ = render("full")
        rule = next(o for o in objects if o["kind"] == "PrometheusRule")
        self.assertEqual(rule["spec"]["groups"], RULES)
        carried = next(o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"].endswith("-dashboards"))["data"]
        self.assertEqual({name: json.loads(text) for name, text in carried.items()},
                         {file.name: json.loads(file.read_text()) for file in FILES})


class UnderLoad(unittest.TestCase):
    """One farm, one Prometheus, half a minute of load."""

    @classmethod
    def setUpClass(cls):
        programs()
        cls.farm, cls.prometheus, cls.targets = loaded_farm()
        cls.addClassCleanup(cls.farm.close)
        cls.start = time.time()
        run_load(cls.farm)
        cls.end = time.time()

    def finite(self, expression: str) -> list:
        expression = expression.replace("$__rate_interval", WINDOW)
        return [values for _, values in self.prometheus.range(expression, self.start, self.end) if values]

    def test_every_panel_has_data(self):
        empty = [f"{board} / {title}: {expression}" for board, title, expression in panels() if not self.finite(expression)]
        self.assertEqual(empty, [])

    def test_every_record_has_data_and_every_alert_can_be_asked(self):
        answered = {rule["name"]: rule for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]}
        for rule in records():
            self.assertTrue(self.finite(rule["record"]), rule["record"])
        for rule in alerts():
            self.assertEqual(answered[rule["alert"]]["health"], "ok", rule["alert"])
            # What is compared is there: without the comparison the expression has a value.
            for metric in set(METRIC.findall(rule["expr"])):
                self.assertTrue(self.finite(metric), f"{rule['alert']}: {metric}")

    def test_names_here_and_in_the_code_are_the_same(self):
        shown = "".join(scrape(address) for addresses in self.targets.values() for address in addresses)
        kinds = dict(re.findall(r"^# TYPE (atelier_\w+) (\w+)$", shown, re.MULTILINE))
        texts = [expression for _, _, expression in panels()] + [rule["expr"] for rule in records() + alerts()]
        named = {
            name if name in kinds else PARTS.sub("", name) for text in texts for name in METRIC.findall(text)
        }
        self.assertEqual(named - set(kinds), set(), "asked for and not in the code")
        self.assertEqual(set(kinds) - named, set(), "in the code and on no dashboard and in no rule")
        for name, kind in kinds.items():
            self.assertEqual(name.endswith("_total"), kind == "counter", name)

    def test_the_reference_is_what_the_programs_say(self):
        shown = "".join(scrape(address) for addresses in self.targets.values() for address in addresses)
        text = "# Metrics\n\nWhat coordinators and workers show at `/metrics`; `ATELIER_BLESS=1 deploy/test dashboards` writes this file.\n\n" + reference(shown)
        if os.environ.get("ATELIER_BLESS") == "1":
            REFERENCE.write_text(text)
        self.assertEqual(REFERENCE.read_text(), text, "run: ATELIER_BLESS=1 deploy/test dashboards")

    def test_capacity_is_computed_from_the_same_numbers(self):
        done = subprocess.run(
            [str(suite.TARGET / "atelier"), "capacity", "--url", self.farm.url, "--key-file", str(self.farm.data / "key"),
             "--rate", "50", "--use", "0.5", "--json"],
            stdout=subprocess.PIPE, check=True, text=True,
        )
        need = json.loads(done.stdout)
        instance = self.farm.url.removeprefix("http://")

        def now(metric):
            return self.prometheus.ask("query", query=f'sum({metric})')["result"][0]["value"][1]

        seconds = float(now(f'atelier_device_seconds_sum{{instance="{instance}"}}'))
        pictures = float(now(f'atelier_requests_ended_total{{instance="{instance}",state="succeeded"}}'))
        self.assertAlmostEqual(need["device_seconds"], seconds / pictures, places=6)
        self.assertEqual(need["devices"], math.ceil(seconds / pictures * 50 / 0.5 - 1e-9))

    def test_help_tells_and_labels_are_bounded(self):
        shown = "".join(scrape(address) for addresses in self.targets.values() for address in addresses)
        for name, text in re.findall(r"^# HELP (atelier_\w+) ?(.*)$", shown, re.MULTILINE):
            self.assertGreater(len(text), 10, name)
        series = {line.split(" ")[0] for line in shown.splitlines() if line and not line.startswith("#")}
        self.assertLess(len(series), 3_000)
        # An id in a label would make a series for each request.
        self.assertIsNone(re.search(r'"[^"]*[0-9a-f]{8}-[0-9a-f]{4}-[^"]*"', "\n".join(series)))


def loaded_farm():
    """A farm of two coordinators and two workers with the test double, and a Prometheus that scrapes all of them."""
    farm = Farm("--coordinators", "2")
    try:
        admins = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        for number, address in enumerate(admins):
            farm.start(f"measured-{number}", "atelier-worker", [
                "--nats-url", f"nats://127.0.0.1:{farm.info['nats_port']}", "--store-url", f"file://{farm.data / 'objects'}",
                "--admin-listen", address, "--double-step-ms", "20",
            ], DOUBLE)
            wait_until("a worker", lambda: ready(f"http://{address}/healthz"), farm.processes[-1])
        targets = {"coordinator": [f"127.0.0.1:{port}" for port in farm.info["http_ports"]], "worker": admins}
        server = Server(farm.folder / "prometheus", targets, PROMETHEUS / "rules.yaml")
        farm.processes.append(server.process)
    except BaseException:
        farm.close()
        raise
    return farm, server, targets


def run_load(farm: Farm, waves: int = 6) -> None:
    """Requests of every kind, wave after wave, until all ended."""
    apis = [Api(f"http://127.0.0.1:{port}", farm.key) for port in farm.info["http_ports"]]
    requests = []
    for wave in range(waves):
        for number, (prompt, options) in enumerate(LOAD):
            api = apis[(wave + number) % len(apis)]
            requests.append(api.submit(f"{prompt} {wave}", seed=wave, **options))
        time.sleep(1)
    wait_until("every request has ended", lambda: all(apis[0].state(request) != "active" for request in requests))
    # What ended last is scraped, too, and traces are counted.
    time.sleep(4)


if __name__ == "__main__":
    suite.run(__name__)
