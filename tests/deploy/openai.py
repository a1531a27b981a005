"""OpenAI's own client libraries against a live farm: pictures, streams, edits, links, errors, retries, webhooks."""

import base64
import os
import shutil
import struct
import subprocess
import sys
import zlib

from support import pinned, suite
from support.farm import Farm

HERE = suite.ROOT / "tests/openai"
LONGEST_WAIT_S = "12"


def administer(farm: Farm, *arguments: str) -> str:
    done = subprocess.run(
        [str(suite.TARGET / "atelier-coordinator"), *arguments],
        env={**os.environ, "ATELIER_DATABASE_URL": farm.database_url("postgres")}, stdout=subprocess.PIPE, check=True, text=True,
    )
    return done.stdout.strip()


def mask(side: int) -> str:
    """A PNG that is transparent in its left half, base64."""
    row = b"\0" + b"".join(bytes([0, 0, 0, 0 if x < side // 2 else 255]) for x in range(side))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)), (b"IDAT", zlib.compress(row * side)), (b"IEND", b"")]
    parts = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def environment_of(farm: Farm, **more: str) -> dict:
    site = pinned.site(HERE / "requirements.txt")
    return {
        **os.environ, "PYTHONPATH": str(site), "ATELIER_URL": farm.url, "ATELIER_API_KEY": farm.key, "NO_PROXY": "*", **more,
    }


def run(*program: str, environment: dict) -> int:
    return subprocess.run(program, env=environment, cwd=suite.ROOT).returncode


def with_the_double(words) -> int:
    """Everything, with what goes wrong on purpose."""
    os.environ.update(ATELIER_LONGEST_WAIT_S=LONGEST_WAIT_S, ATELIER_WEBHOOKS_TO_PRIVATE="true")
    farm = Farm()
    try:
        small = administer(farm, "key", "create", "--tenant", "small")
        administer(farm, "tenant", "set", "small", "--queue-limit", "1")
        environment = environment_of(
            farm, ATELIER_SMALL_KEY=small, MASK_64=mask(64), OPENAI_NODE=str(suite.DEPS / "openai-node"))
        ended = run(sys.executable, "-B", str(HERE / "conformance.py"), *words, environment=environment)
        if not shutil.which("node"):
            print("NOT RUN: conformance.mjs: no node", flush=True)
            return ended
        return max(ended, run("node", str(HERE / "conformance.mjs"), *words, environment=environment))
    finally:
        farm.close()


def with_the_default_model() -> int:
    """What somebody does first."""
    del os.environ["ATELIER_LONGEST_WAIT_S"]
    farm = Farm(engine="torch")
    try:
        environment = environment_of(farm, MASK=mask(256))
        return run(sys.executable, "-B", str(HERE / "default_model.py"), environment=environment)
    finally:
        farm.close()


def main() -> int:
    words = sys.argv[1:]
    ended = with_the_double(words)
    # A picture of its own takes some seconds of two cores.
    return ended if words else max(ended, with_the_default_model())


if __name__ == "__main__":
    sys.exit(main())
