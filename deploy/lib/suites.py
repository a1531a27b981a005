"""The work behind `deploy/test`: one build of every test and binary, then the chosen suites.

Cargo resolves features for the crates that it is asked for, so `cargo test -p one-crate` would
compile half of the dependencies a second time. Hence everything is built as one workspace,
exactly as `cargo test --workspace` and `deploy/quickstart` do, and the test programs are run one
after another from here. `bench NAME` builds the same way and runs a benchmark instead, `eval SUITE`
draws and judges a suite of prompts with the default model. A suite is
a crate (`proto`, `models`, ...), a file or folder of tests/tests (`faults`, `chaos`, ...), a script of
tests/deploy (`helm`, `dashboards`, ...), or one of OWN; some take options of their own, and those in
PROGRAMS run the program of their name when they get any.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from evaluation import evaluate

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_TESTS = "atelier-tests"
SCRIPTS = ROOT / "tests/deploy"
# A test program that is silent for ever must not take the run along; seconds.
LIMIT = int(os.environ.get("ATELIER_TEST_LIMIT_S", "1800"))
CARGO = ["--release", "--locked", "--workspace"]
# Tests of a crate that are a suite of their own, by their target.
OWN = {"parity"}
# Suites that are also a program with options of its own.
PROGRAMS = {"simulate"}
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;", re.MULTILINE)


def main() -> int:
    sys.argv[1:] = placed(sys.argv[1:])
    if sys.argv[1:2] == ["bench"]:
        return bench(sys.argv[2:])
    if sys.argv[1:2] == ["eval"]:
        build_programs()
        return evaluate(ROOT, sys.argv[2:])
    if is_program(sys.argv[1:]):
        return become(sys.argv[1], sys.argv[2:])
    options = parse_options()
    limit = fuzz_longer(options)
    suites = all_suites()
    if options.suite == "list":
        for name, about in suites.items():
            print(f"{name:16} {about}")
        return 0
    if options.suite and options.suite not in suites:
        say(f"error: there is no suite '{options.suite}'; there are: {', '.join(suites)}")
        return 2
    started = time.monotonic()
    programs = [p for p in build() + scripts() if options.suite in (None, p["suite"])]
    say(f"test: built in {time.monotonic() - started:.0f} s; {len(programs)} test programs")
    commands = [
        (program["label"], [*program["command"], *options.args], program["folder"])
        for program in programs
    ]
    return report([run(*command, limit) for command in commands], started)


def placed(arguments) -> list:
    """The same with the file after `--json` where the caller means it to be: programs run in folders of their own."""
    folder = Path(os.environ.get("CALLER", os.getcwd()))
    return [
        str(folder / word) if before == "--json" and not word.startswith("-") else word
        for before, word in zip(["", *arguments], arguments)
    ]


def fuzz_longer(options) -> int:
    """Reads `fuzz TARGET SECONDS`; returns the limit of a test program in seconds."""
    if options.suite != "fuzz" or len(options.args) != 2 or not options.args[1].isdecimal():
        return LIMIT
    target, seconds = options.args[0], int(options.args[1])
    os.environ["BOLERO_RANDOM_TEST_TIME_MS"] = str(seconds * 1000)
    options.args = ["--exact", target]
    # What it is in when the time is over, it finishes.
    return max(LIMIT, seconds + 120)


def bench(arguments) -> int:
    """Builds everything, then becomes the benchmark `bench-NAME`."""
    names = sorted(bench_names())
    if not arguments or arguments[0] not in names:
        say(f"usage: deploy/test bench NAME [OPTIONS]; there are: {', '.join(names)}")
        return 2
    return become(f"bench-{arguments[0]}", arguments[1:])


def is_program(arguments) -> bool:
    """Whether it is a suite with options of its program, as opposed to what follows `--`."""
    return (arguments[:1] and arguments[0] in PROGRAMS
            and any(a.startswith("-") for a in arguments[1:]) and "--" not in arguments)


def become(name: str, arguments):
    """Builds everything, then becomes a program of ours."""
    build_programs()
    program = ROOT / "target/release" / name
    os.execv(program, [str(program), *arguments])


def build_programs() -> None:
    subprocess.run(["cargo", "build", *CARGO, "--lib", "--bins"], cwd=ROOT, check=True)


def bench_names() -> list:
    """What `[[bin]]` of the tests begins with `bench-`."""
    manifest = (ROOT / "tests/Cargo.toml").read_text()
    return re.findall(r'^name = "bench-(.+)"$', manifest, re.MULTILINE)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy/test",
        description="Builds everything once and runs the tests: all, or those of one suite.",
        epilog="Examples: deploy/test; deploy/test domain; deploy/test faults -- --nocapture hangs; "
        "deploy/test chaos --seed 7 --json chaos.json; deploy/test simulate --workers 2000; "
        "deploy/test fuzz messages::report 600; deploy/test bench farm --requests 2000; "
        "deploy/test eval tests/prompts/eval.jsonl --json eval.json. "
        "ATELIER_TEST_LIMIT_S bounds one test program, 1800 seconds unless set.",
    )
    parser.add_argument("suite", nargs="?", help="a suite as 'deploy/test list' names it")
    parser.add_argument("args", nargs=argparse.REMAINDER,
                        help="handed to the test programs: a filter, --nocapture, a suite's own options")
    options = parser.parse_args()
    options.args = [a for i, a in enumerate(options.args) if not (i == 0 and a == "--")]
    return options


def all_suites() -> dict:
    """Name and first line of documentation of every suite, from the workspace as it is."""
    answer = subprocess.run(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"],
        cwd=ROOT, stdout=subprocess.PIPE, check=True,
    )
    suites = {}
    for package in json.loads(answer.stdout)["packages"]:
        for target in package["targets"]:
            name = suite_of(package["name"], target["kind"], target["name"])
            suites.setdefault(name, first_doc_line(Path(target["src_path"])))
    return {**suites, **{script.stem: first_doc_line(script) for script in sorted(SCRIPTS.glob("*.py"))}}


def scripts() -> list:
    """The suites that are scripts: they test what is rendered, scraped or written down, with the built programs."""
    return [
        {"suite": script.stem, "label": f"{script.stem} (script)", "folder": ROOT,
         "command": [sys.executable, "-B", str(script)]}
        for script in sorted(SCRIPTS.glob("*.py"))
    ]


def suite_of(package: str, kind, target: str) -> str:
    if "test" in kind and (package == SYSTEM_TESTS or target in OWN):
        return target
    return package.replace("atelier-", "", 1) if package != SYSTEM_TESTS else "sandbox"


def first_doc_line(file: Path) -> str:
    for line in file.read_text(errors="replace").splitlines():
        if line.startswith(("//!", '"""')):
            return line[3:].strip().rstrip('"')
        if line.strip():
            break
    return ""


def build() -> list:
    """Compiles every binary and every test program; the programs in the order of the suites."""
    command = ["cargo", "build", *CARGO, "--lib", "--bins", "--tests",
               "--message-format=json-render-diagnostics"]
    say("test: " + " ".join(command[:-1]))
    programs = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as cargo:
        for line in cargo.stdout:
            message = json.loads(line)
            if message.get("reason") != "compiler-artifact" or not message.get("executable"):
                continue
            if not message["profile"]["test"]:
                continue
            manifest = Path(message["manifest_path"])
            package = package_name(manifest)
            target = message["target"]
            suite = suite_of(package, target["kind"], target["name"])
            programs.append({
                "suite": suite,
                "label": f"{suite} ({'/'.join(target['kind'])} {target['name']})",
                "command": [message["executable"]],
                # As cargo does it: relative paths in tests start at their crate.
                "folder": manifest.parent,
            })
    if cargo.returncode != 0:
        say("error: the build failed; no test was run")
        sys.exit(cargo.returncode)
    # Small and fast first, the real servers last.
    return sorted(programs, key=lambda p: ("tests" in p["folder"].parts[-1:], p["label"]))


def package_name(manifest: Path) -> str:
    return re.search(r'^name = "(.+)"$', manifest.read_text(), re.MULTILINE)[1]


def run(label: str, command, folder: Path, limit: int) -> dict:
    """One test program in its own session, so that nothing it started outlives it by accident."""
    say(f"\n--- {label}")
    started = time.monotonic()
    environment = {**os.environ, "CARGO_MANIFEST_DIR": str(folder)}
    child = subprocess.Popen(
        command, cwd=folder, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, start_new_session=True,
    )
    timed_out = []
    signal.signal(signal.SIGALRM, lambda *_: (timed_out.append(True), end(child)))
    signal.alarm(limit)
    passed = failed = 0
    try:
        for line in child.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            counts = RESULT.match(line)
            if counts:
                passed, failed = passed + int(counts[1]), failed + int(counts[2])
        code = child.wait()
    finally:
        signal.alarm(0)
        end(child)
    if timed_out:
        say(f"error: {label} was ended: it ran for more than {limit} s")
    elif code < 0:
        say(f"error: {label} died of {signal.Signals(-code).name}")
    return {"label": label, "code": code, "passed": passed, "failed": failed,
            "seconds": time.monotonic() - started}


def end(child) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.2)


def report(results, started: float) -> int:
    bad = [r for r in results if r["code"] != 0]
    passed = sum(r["passed"] for r in results)
    # A program that died counts as one failure at least.
    failed = sum(max(r["failed"], 1 if r in bad else 0) for r in results)
    say("\nslowest: " + ", ".join(
        f"{r['label']} {r['seconds']:.0f} s"
        for r in sorted(results, key=lambda r: -r["seconds"])[:5]
    ))
    for result in bad:
        say(f"FAILED: {result['label']}")
    say(f"test: {time.monotonic() - started:.0f} s in all")
    print(f"{passed} passed, {failed} failed", flush=True)
    if passed + failed == 0:
        say("error: no test was run; does the filter name one?")
        return 3
    return 1 if bad else 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def on_terminate(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_terminate)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("\ntest: stopped")
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        say(f"error: {' '.join(error.cmd)} failed")
        sys.exit(1)
