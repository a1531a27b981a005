"""Prometheus and promtool: those on the PATH or in ATELIER_PROMETHEUS, else Debian's own package, unpacked into .deps/prometheus."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

from .process import Process, free_port, wait_until
from .suite import DEPS

HOME = DEPS / "prometheus"


def programs() -> dict:
    """Paths of prometheus and promtool; the test is skipped where they cannot be had."""
    for folder in [os.environ.get("ATELIER_PROMETHEUS"), None, str(HOME)]:
        found = programs_in(folder)
        if found:
            return found
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        # apt checks the package against the distribution's keys.
        with tempfile.TemporaryDirectory() as folder:
            got = subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=folder,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            packages = list(Path(folder).glob("*.deb"))
            if got.returncode == 0 and packages:
                subprocess.run(["dpkg-deb", "-x", str(packages[0]), f"{folder}/x"], check=True)
                new = HOME.with_name("prometheus.new")
                shutil.rmtree(new, ignore_errors=True)
                shutil.copytree(f"{folder}/x/usr/bin", new)
                shutil.rmtree(HOME, ignore_errors=True)
                new.replace(HOME)
                found = programs_in(str(HOME))
                if found:
                    return found
    raise unittest.SkipTest(
        "no prometheus and promtool: install the package prometheus, or name their folder with ATELIER_PROMETHEUS"
    )


def programs_in(folder) -> dict:
    """Both, or nothing; a folder of None is the PATH."""
    found = {name: shutil.which(name, path=folder) for name in ("prometheus", "promtool")}
    return found if all(found.values()) else {}


class Server:
    """A Prometheus that scrapes every second."""

    def __init__(self, folder: Path, targets: dict, rules: Path):
        folder.mkdir()
        self.port = free_port()
        jobs = "".join(
            f'  - job_name: {job}\n    static_configs:\n      - targets: {json.dumps(addresses)}\n'
            for job, addresses in targets.items()
        )
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{rules}]\nscrape_configs:\n{jobs}"
        )
        command = [
            programs()["prometheus"], f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
        ]
        self.process = Process("prometheus", command, folder / "server.log", {})
        wait_until("Prometheus", self._is_ready, self.process)
        # It takes some seconds until it knows its targets; what is counted before that has no rate.
        wanted = sum(len(addresses) for addresses in targets.values())
        wait_until("a look at every target", lambda: self._looked_at() == wanted, self.process)

    def _looked_at(self) -> int:
        return sum(int(series["value"][1]) for series in self.ask("query", query="up")["result"])

    def _is_ready(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2) as answer:
            return answer.status == 200

    def ask(self, path: str, **parameters) -> dict:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def range(self, expression: str, start: float, end: float, step: float = 1.0) -> list:
        """Series: (labels, [(time, value)]); values that are no numbers are left out."""
        data = self.ask("query_range", query=expression, start=start, end=end, step=step)
        return [
            (series["metric"], [(at, float(value)) for at, value in series["values"] if value not in ("NaN", "+Inf", "-Inf")])
            for series in data["result"]
        ]
