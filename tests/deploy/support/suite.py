"""Runs the tests of a module and ends with the line that `deploy/test` counts by."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DEPS = ROOT / ".deps"
TARGET = ROOT / "target/release"


class Result(unittest.TextTestResult):
    """Counts what passed; a class whose preparation fails or is skipped is no test that ran."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def run(module: str) -> None:
    """`SUITE.py [WORD]...`: the tests whose names contain one of the words, or all."""
    if sys.version_info < (3, 9):
        sys.exit("error: the scripts of tests/deploy need Python 3.9 or later; deploy/setup does with 3.8")
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    every = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[module])
    chosen = unittest.TestSuite(
        test for test in flat(every) if not words or any(word in test.id() for word in words)
    )
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=Result).run(chosen)
    failed, passed = len(result.failures) + len(result.errors), result.passed
    for test, why in result.skipped:
        print(f"NOT RUN: {test}: {why}", flush=True)
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {passed} passed; {failed} failed; {len(result.skipped)} ignored", flush=True)
    sys.exit(1 if failed else 0)


def flat(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test
