"""The farm's page in a headless Chromium, with a farm of its own: what people see, do and must not see; accessibility by axe-core."""

import json
import os
import shutil
import subprocess
import unittest

from support import suite
from support.farm import DOUBLE, Farm

SCRIPT = suite.ROOT / "tests/deploy/browser/page.mjs"
MODULES = suite.DEPS / "browser/node_modules"
SHOTS = suite.ROOT / "target/browser"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# All scenarios take half a minute on two cores.
LIMIT_S = 600


def chromium() -> str:
    """Its program; the tests are skipped where there is none."""
    named = os.environ.get("ATELIER_CHROMIUM")
    found = next((path for path in map(shutil.which, [named] if named else NAMES) if path), None)
    if not found:
        raise unittest.SkipTest("no Chromium: install the package chromium, or name the program with ATELIER_CHROMIUM")
    if not shutil.which("node"):
        raise unittest.SkipTest("no node: install the package nodejs (18 or later)")
    return found


class Page(unittest.TestCase):
    """One farm with the test double, one browser after another."""

    @classmethod
    def setUpClass(cls):
        program = chromium()
        if not (MODULES / "playwright-core/package.json").is_file():
            raise AssertionError("nothing that drives the browser: run deploy/setup --test")
        farm = Farm()
        cls.addClassCleanup(farm.close)
        shutil.rmtree(SHOTS, ignore_errors=True)
        SHOTS.mkdir(parents=True)
        environment = {
            "MODULES": str(MODULES), "CHROMIUM": program, "SHOTS": str(SHOTS), "URL": farm.url, "KEY": farm.key,
            "OTHER_KEY": farm.atelier("key", "create", "--tenant", "other").strip(),
        }
        done = subprocess.run(
            ["node", str(SCRIPT)], env={**os.environ, **DOUBLE, **environment}, timeout=LIMIT_S,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        cls.results = {line["name"]: line["error"] for line in map(json.loads, done.stdout.splitlines())}
        cls.ended = (done.returncode, done.stderr[-3000:])

    def test_every_scenario_ran(self):
        self.assertEqual(self.ended, (0, ""))
        self.assertEqual(len(self.results), 8)

    def test_screenshots_are_kept(self):
        shots = {file.stem for file in SHOTS.glob("*.png")}
        self.assertLessEqual({"login", "gallery-live", "request-drawing", "request-done", "request-narrow", "gallery-dark"}, shots)

    def scenario(self, name: str):
        self.assertIn(name, self.results)
        self.assertIsNone(self.results[name], self.results[name])

    def test_logs_in(self):
        self.scenario("a wrong key is refused and a good one opens the page")

    def test_is_watched_from_the_form_to_the_picture(self):
        self.scenario("a request is watched from the form to the picture")

    def test_is_live(self):
        self.scenario("what others submit comes in by itself")

    def test_stops_and_asks_again(self):
        self.scenario("one is stopped, and asked for again")

    def test_says_why_something_failed(self):
        self.scenario("what fails says why")

    def test_obeys_no_prompt(self):
        self.scenario("scripts in a prompt are words")

    def test_shows_nothing_of_another_tenant(self):
        self.scenario("another tenant sees nothing")

    def test_works_narrow_dark_and_without_scripts(self):
        self.scenario("narrow, dark and without scripts it works, too")


if __name__ == "__main__":
    suite.run(__name__)
