"""Draws each dashboard as a PNG from live data, for people who would rather look: a farm with the engine's test double under a minute of load.

    python3 -m venv .atelier/preview && .atelier/preview/bin/pip install matplotlib==3.11.2 pyoxipng==9.1.1
    .atelier/preview/bin/python -B deploy/grafana/preview.py

The pictures show queries and data, not Grafana: matplotlib draws them, in the panels' order and places. Build the farm's programs first.
"""

import json
import re
import sys
import time
from pathlib import Path

import matplotlib
import oxipng

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402
from PIL import Image  # noqa: E402  (matplotlib brings it)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/deploy"))
from dashboards import loaded_farm, run_load  # noqa: E402

GROUND, PANEL, INK, FAINT = "#111217", "#181b1f", "#d8d9da", "#6e7077"
COLOURS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#fade2a", "#56a64b", "#e0b400"]
GRID = "#25282d"
WINDOW = "20s"
# Cells of Grafana's grid, in inches.
CELL_W, CELL_H = 0.5, 0.3


def said(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.3g}" + {"reqps": " req/s", "ops": " /s"}.get(unit, "")


def legend(template: str, labels: dict) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), template)


def series(prometheus, panel: dict, start: float, end: float) -> list:
    found = []
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", WINDOW)
        for labels, values in prometheus.range(expression, start, end):
            if values:
                found.append((legend(target["legendFormat"], labels), values))
    return found


def palette() -> Image.Image:
    """What is drawn with and its shades on a panel and nothing else: it keeps the files small and every series in its colour."""
    def rgb(colour: str) -> list:
        return [int(colour[at:at + 2], 16) for at in (1, 3, 5)]
    def shades(colour: str, *parts: float) -> list:
        return [round(part * own + (1 - part) * below) for part in parts for own, below in zip(rgb(colour), rgb(PANEL))]
    values = rgb(GROUND) + rgb(PANEL) + rgb(GRID) + shades(INK, 1, 0.5) + shades(FAINT, 1)
    values += [value for colour in COLOURS for value in shades(colour, 1, 0.35)]
    made = Image.new("P", (1, 1))
    made.putpalette(values + values[:3] * (256 - len(values) // 3))
    return made


def draw(prometheus, board: dict, start: float, end: float, out: Path) -> None:
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"])
    figure = plt.figure(figsize=(24 * CELL_W, height * CELL_H + 0.4), facecolor=GROUND, dpi=72)
    total = height * CELL_H + 0.4
    figure.text(0.008, 1 - 0.26 / total, board["title"], color=INK, fontsize=12, weight="bold")
    for panel in board["panels"]:
        place, unit = panel["gridPos"], panel["fieldConfig"]["defaults"]["unit"]
        stat = panel["type"] == "stat"
        left, top = place["x"] / 24 + 0.004, 1 - (place["y"] * CELL_H + 0.4) / total
        box = figure.add_axes([left, top - place["h"] * CELL_H / total + 0.004, place["w"] / 24 - 0.008, place["h"] * CELL_H / total - 0.006])
        box.set(xticks=[], yticks=[], facecolor=PANEL)
        for spine in box.spines.values():
            spine.set_visible(False)
        box.text(0.02, 1 - 0.18 / (place["h"] * CELL_H), panel["title"], color=INK, fontsize=8, transform=box.transAxes)
        lines = series(prometheus, panel, start, end)
        if stat:
            if lines:
                box.text(0.5, 0.3, said(lines[0][1][-1][1], unit), color=COLOURS[0], fontsize=17, ha="center", transform=box.transAxes)
            continue
        axes = box.inset_axes([0.11, 0.2, 0.86, 0.62])
        axes.set_facecolor(PANEL)
        axes.grid(color=GRID, linewidth=0.5)
        axes.tick_params(colors=FAINT, labelsize=6, length=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: said(value, unit)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:.0f} s"))
        for spine in axes.spines.values():
            spine.set_visible(False)
        stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
        below = {}
        for number, (name, values) in enumerate(lines[:10]):
            colour = COLOURS[number % len(COLOURS)]
            times = [at - start for at, _ in values]
            heights = [value + (below.get(at, 0.0) if stacked else 0.0) for at, value in values]
            if stacked:
                axes.fill_between(times, [below.get(at, 0.0) for at, _ in values], heights, color=colour, alpha=0.35, linewidth=0)
                below.update({at: value for (at, _), value in zip(values, heights)})
            axes.plot(times, heights, color=colour, linewidth=1, label=name)
        axes.set_xlim(0, end - start)
        axes.set_ylim(bottom=0)
        if lines:
            box.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=min(5, max(1, 60 // max(len(name) for name, _ in lines))), fontsize=5, frameon=False, labelcolor=FAINT,
                       handlelength=1, columnspacing=1, borderpad=0.1)
    figure.savefig(out, facecolor=GROUND)
    plt.close(figure)
    with Image.open(out) as drawn:
        drawn.convert("RGB").quantize(palette=palette(), dither=Image.Dither.NONE).save(out)
    oxipng.optimize(out, level=6, strip=oxipng.StripChunks.all(), deflate=oxipng.Deflaters.zopfli(15))


def main() -> None:
    farm, prometheus, _ = loaded_farm()
    try:
        start = time.time()
        run_load(farm, waves=60)
        end = time.time()
        for file in sorted(HERE.glob("*.json")):
            draw(prometheus, json.loads(file.read_text()), start, end, HERE / f"preview-{file.stem}.png")
    finally:
        farm.close()


if __name__ == "__main__":
    main()
