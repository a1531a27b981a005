"""Programs of a test: started, waited for, ended."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

PATIENCE_S = 60


class Process:
    """One child with a log; it is ended with the test that holds it."""

    def __init__(self, name: str, command, log: Path, environment: dict):
        self.name, self.log = name, log
        with log.open("ab") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, **environment}, start_new_session=True,
            )

    def runs(self) -> bool:
        return self.child.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, patience_s: float = 30.0) -> int:
        """SIGTERM, then SIGKILL; its exit code."""
        if self.runs():
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(what: str, holds, process: Process = None, patience_s: float = PATIENCE_S):
    """Asks again and again; a call that fails counts as no. Answers with the first true answer."""
    deadline, last = time.monotonic() + patience_s, None
    while time.monotonic() < deadline:
        try:
            answer = holds()
            if answer:
                return answer
        except (OSError, LookupError, ValueError) as error:
            last = error
        if process is not None and not process.runs():
            raise AssertionError(f"{what}: {process.name} ended\n{process.said()[-3000:]}")
        time.sleep(0.05)
    tail = process.said()[-3000:] if process else ""
    raise AssertionError(f"{what}: not within {patience_s:.0f} s ({last})\n{tail}")
