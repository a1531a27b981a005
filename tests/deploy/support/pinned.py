"""Python libraries that a test runs on: exactly the files that a list pins by digest, under .deps, for the Python that runs this."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from .suite import DEPS


def site(requirements: Path) -> Path:
    """The folder that has them, fetched when it is not there yet; the environment's PYTHONPATH."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        # There are compiled parts for these only.
        print(f"NOT RUN: {requirements.parent.name}: CPython 3.11 to 3.14 is needed", flush=True)
        sys.exit(0)
    folder = DEPS / f"python-{requirements.parent.name}"
    version = "{}.{}".format(*sys.version_info)
    pin = hashlib.sha256(requirements.read_bytes() + version.encode()).hexdigest()
    stamp = folder / ".pin"
    if stamp.exists() and stamp.read_text() == pin:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
         "--only-binary=:all:", "--target", str(folder), "--requirement", str(requirements)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    if done.returncode != 0:
        sys.exit(f"error: pip could not fetch what {requirements} names:\n{done.stdout[-2000:]}")
    stamp.write_text(pin)
    return folder
