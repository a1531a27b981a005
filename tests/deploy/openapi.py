"""Schemathesis against the document of the API: whatever is sent, no server error, and no answer that the document does not describe.

`deploy/test openapi [SECONDS] [SEED]`, one minute and seed 1 unless named.
"""

import os
import subprocess
import sys

from support import pinned, suite
from support.farm import Farm

HERE = suite.ROOT / "tests/openapi"
# What is asked of every answer. Whether what the generator takes for wrong is refused is not asked of fields that are ignored.
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "unsupported_method", "ignored_auth", "missing_required_header",
]


def main() -> int:
    seconds, seed = (sys.argv[1:] + ["60", "1"][len(sys.argv[1:]):])[:2]
    site = pinned.site(HERE / "requirements.txt")
    # Nobody draws: calls that wait for a picture are ended by the clock, and what is asked of them is how they say so.
    os.environ["ATELIER_LONGEST_WAIT_S"] = "1"
    farm = Farm()
    try:
        command = [
            sys.executable, "-B", "-m", "schemathesis.cli", "run", f"{farm.url}/openapi.json", "--seed", seed, "--max-time", seconds,
            "--checks", ",".join(CHECKS), "--header", f"Authorization: Bearer {farm.key}", "--request-timeout", "30",
            "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color",
        ]
        environment = {
            **os.environ, "PYTHONPATH": f"{site}:{HERE}", "SCHEMATHESIS_HOOKS": "hooks", "NO_PROXY": "*", "PYTHONDONTWRITEBYTECODE": "1",
        }
        ended = subprocess.run(command, env=environment, cwd=farm.folder).returncode
        print(f"test result: {'FAILED' if ended else 'ok'}. {0 if ended else 1} passed; {1 if ended else 0} failed; 0 ignored", flush=True)
        return ended
    finally:
        farm.close()


if __name__ == "__main__":
    sys.exit(main())
