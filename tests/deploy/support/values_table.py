"""The values of the chart as a table of its README: `python3 -B tests/deploy/support/values_table.py` writes it there."""

import json
import re
import sys
from pathlib import Path

BEGIN, END = "<!-- values -->\n", "<!-- /values -->"


def of(schema: dict, defaults: dict) -> str:
    lines = ["| value | default | what |", "|---|---|---|"]
    lines += rows("", schema, defaults)
    return "\n".join(lines) + "\n"


def rows(prefix: str, schema: dict, defaults) -> list:
    lines = []
    for name, part in schema["properties"].items():
        where = f"{prefix}{name}"
        value = defaults.get(name) if isinstance(defaults, dict) else None
        if "properties" in part:
            lines.append(f"| `{where}` | | {part['description']} |")
            lines += rows(f"{where}.", part, value)
        elif "properties" in part.get("items", {}):
            lines.append(f"| `{where}[]` | | {part['description']} |")
            lines += rows(f"{where}[].", part["items"], None)
        else:
            shown = "" if value is None else f"`{json.dumps(value)}`"
            lines.append(f"| `{where}` | {shown} | {part['description']}{allowed(part)} |")
    return lines


def allowed(part: dict) -> str:
    choices = part.get("enum") or part.get("items", {}).get("enum")
    return f" ({', '.join(str(choice) for choice in choices)})" if choices else ""


def of_chart(chart: Path, engine) -> str:
    return of(json.loads((chart / "values.schema.json").read_text()), engine.yaml((chart / "values.yaml").read_text()))


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from support.helm import Engine
    from support.suite import ROOT
    chart = ROOT / "helm/atelier"
    text = of_chart(chart, Engine())
    readme = chart / "README.md"
    new = re.sub(f"{BEGIN}.*{END}", lambda _: BEGIN + text + END, readme.read_text(), flags=re.DOTALL)
    readme.write_text(new)


if __name__ == "__main__":
    main()
