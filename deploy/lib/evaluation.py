"""The work behind `deploy/test eval`: the default model, a farm of its own, and `atelier eval` on it."""

import subprocess
import sys
import tempfile
from pathlib import Path

# What is drawn when no suite is named: few enough prompts for two cores.
SMOKE = "tests/prompts/eval-smoke.jsonl"


def evaluate(root: Path, arguments) -> int:
    """`[SUITE.jsonl] [options of atelier eval]`: draws in a farm that is gone afterwards; pictures stay in .atelier/eval."""
    suite = [] if arguments and not arguments[0].startswith("-") else [str(root / SMOKE)]
    atelier = str(root / "target/release/atelier")
    name = Path((suite or arguments)[0]).stem
    out = [] if "--out" in arguments else ["--out", str(root / ".atelier/eval" / name)]
    with tempfile.TemporaryDirectory(prefix="atelier-eval-") as folder:
        farm = ["--data", folder]
        subprocess.run([atelier, "up", "--detach", *farm], check=True)
        try:
            return subprocess.run([atelier, "eval", *suite, *arguments, *out, *farm]).returncode
        finally:
            subprocess.run([atelier, "down", *farm], check=False, stdout=sys.stderr)
