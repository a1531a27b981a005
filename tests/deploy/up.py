"""`deploy/up --env` and `deploy/down`, as a script uses them: what is on stdout is for the shell, and repeating either is safe."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import suite
from support.farm import DOUBLE

EXPORT = re.compile(r"^export (ATELIER_URL|ATELIER_API_KEY)=([A-Za-z0-9._~:/-]+)$")


class Up(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="atelier-deploy-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        # PostgreSQL may run as another user, who must be able to walk here.
        self.folder.chmod(0o755)
        self.addCleanup(self.script, "down", "--data", "farm", check=False)

    def script(self, name: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Runs `deploy/NAME` in the folder, where relative paths are meant."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ATELIER_")}
        done = subprocess.run([str(suite.ROOT / "deploy" / name), *arguments], cwd=self.folder, env={**environment, **DOUBLE},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def info(self) -> dict:
        return json.loads((self.folder / "farm/farm.json").read_text())

    def list(self, exports: str) -> subprocess.CompletedProcess:
        """`atelier list` by somebody who knows nothing but what a shell made of the exports."""
        script = 'set -eu; eval "$1"; exec "$2" list --json'
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        return subprocess.run(["sh", "-c", script, "sh", exports, str(suite.TARGET / "atelier")], cwd=self.folder, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_a_shell_gets_a_farm_and_gives_it_back(self):
        first = self.script("up", "--env", "--data", "farm")
        lines = [EXPORT.match(line) for line in first.stdout.splitlines()]
        self.assertTrue(all(lines), first.stdout)
        self.assertEqual([line[1] for line in lines], ["ATELIER_URL", "ATELIER_API_KEY"])
        self.assertEqual(lines[0][2], self.info()["url"])
        self.assertNotIn(lines[1][2], first.stderr, "the key is told to whoever reads the log")
        listed = self.list(first.stdout)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertEqual(json.loads(listed.stdout)["requests"], [])

        # Once more is no other farm.
        before = self.info()
        second = self.script("up", "--env", "--data", "farm")
        self.assertEqual((second.stdout, self.info()), (first.stdout, before))
        self.assertIn("runs already", second.stderr)

        for _ in range(2):
            self.assertEqual(self.script("down", "--data", "farm").stdout, "")
        self.assertEqual(self.list(first.stdout).returncode, 3, "it is still there")
        # Its data stays: the same farm comes back.
        again = self.script("up", "--env", "--data=farm")
        self.assertEqual(again.stdout, first.stdout)

    def test_one_that_never_was_is_no_error_and_what_is_unknown_is_one(self):
        self.script("down", "--data", "farm")
        self.assertFalse((self.folder / "farm").exists())
        for name, arguments in [("down", ["--all"]), ("up", ["--data"]), ("up", ["--env", "--data", "farm", "--no-such-option"])]:
            done = self.script(name, *arguments, check=False)
            self.assertNotEqual(done.returncode, 0, (name, arguments))
            self.assertEqual(done.stdout, "", (name, arguments))


if __name__ == "__main__":
    suite.run(__name__)
