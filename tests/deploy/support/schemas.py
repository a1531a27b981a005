"""Strict schemas: those of Kubernetes as JSON Schema, those of custom resources as the typed classes that were generated from them."""

import ast
import functools
import json
import sys
from pathlib import Path

from .suite import DEPS

SCHEMAS = DEPS / "schemas"
VERSIONS = [29, 33, 37]

sys.path.insert(0, str(SCHEMAS / "python"))
import jsonschema  # noqa: E402  (unpacked by deploy/setup --test)


def check(document: dict, minor: int) -> list:
    """What is wrong with an object, as Kubernetes 1.`minor` or the CRD's types see it."""
    group = document["apiVersion"].split("/")[0]
    if "." in group and not group.endswith(".k8s.io"):
        return Custom.of(document["apiVersion"]).check(document)
    validator = kubernetes(document["apiVersion"], document["kind"], minor)
    return [
        f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"
        for error in validator.iter_errors(document)
    ]


@functools.lru_cache(maxsize=None)
def kubernetes(api_version: str, kind: str, minor: int):
    folder = SCHEMAS / f"kubernetes/v1.{minor}.0-local-strict"
    group, _, version = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    schema = json.loads((folder / f"{name}.json").read_text())
    # References name a server's path; the files lie side by side.
    resolver = jsonschema.RefResolver(
        folder.as_uri() + "/", schema,
        handlers={"file": lambda uri: definitions(folder, uri.rsplit("/", 1)[1])},
    )
    return jsonschema.Draft4Validator(schema, resolver=resolver)


@functools.lru_cache(maxsize=None)
def definitions(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


class Custom:
    """Classes of one API version: fields with types, read from the source without running it."""

    @classmethod
    @functools.lru_cache(maxsize=None)
    def of(cls, api_version: str):
        return cls(SCHEMAS / "custom" / f"{api_version.replace('/', '-')}.py")

    def __init__(self, path):
        module = ast.parse(path.read_text())
        self._classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}

    def check(self, document: dict) -> list:
        body = {key: value for key, value in document.items() if key not in ("metadata",)}
        return list(self._object(document["kind"], body, document["kind"]))

    def _object(self, name: str, value, where: str):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no object"
            return
        fields = self._fields(name)
        for key in value:
            if key not in fields:
                yield f"{where}: there is no field {key!r}"
        for key, (annotation, required) in fields.items():
            if value.get(key) is not None:
                yield from self._value(annotation, value[key], f"{where}.{key}")
            elif required:
                yield f"{where}: the field {key!r} is missing"

    @functools.lru_cache(maxsize=None)
    def _fields(self, name: str) -> dict:
        """Name in YAML -> (annotation, whether it is required)."""
        fields = {}
        for node in self._classes[name].body:
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            annotation, alias = node.annotation, node.target.id
            if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated":
                annotation, *extras = annotation.slice.elts
                for extra in extras:
                    for keyword in getattr(extra, "keywords", []):
                        if keyword.arg == "alias":
                            alias = keyword.value.value
            fields[alias] = (annotation, node.value is None)
        return fields

    def _value(self, annotation, value, where: str):
        """Annotations are Optional[..], List[..], Dict[str, ..], Literal[..], unions, classes and plain types."""
        if isinstance(annotation, ast.BinOp):
            choices = [annotation.left, annotation.right]
            if not any(not list(self._value(choice, value, where)) for choice in choices):
                yield f"{where}: {value!r} is not {ast.unparse(annotation)}"
            return
        if isinstance(annotation, ast.Subscript):
            outer = ast.unparse(annotation.value)
            inner = annotation.slice
            if outer == "Optional":
                yield from self._value(inner, value, where)
            elif outer in ("List", "list"):
                if not isinstance(value, list):
                    yield f"{where}: {value!r} is no list"
                    return
                for index, item in enumerate(value):
                    yield from self._value(inner, item, f"{where}[{index}]")
            elif outer in ("Dict", "dict"):
                if not isinstance(value, dict):
                    yield f"{where}: {value!r} is no map"
                    return
                for key, item in value.items():
                    yield from self._value(inner.elts[1], item, f"{where}.{key}")
            elif outer == "Literal":
                allowed = [element.value for element in getattr(inner, "elts", [inner])]
                if value not in allowed:
                    yield f"{where}: {value!r} is none of {allowed}"
            elif outer == "Union":
                choices = inner.elts
                if not any(not list(self._value(choice, value, where)) for choice in choices):
                    yield f"{where}: {value!r} is not {ast.unparse(annotation)}"
            elif outer == "Annotated":
                yield from self._value(inner.elts[0], value, where)
            return
        name = ast.unparse(annotation)
        plain = {"str": str, "int": int, "bool": bool, "float": (int, float)}
        if name in plain:
            fits = isinstance(value, plain[name]) and not (name == "int" and isinstance(value, bool))
            if not fits:
                yield f"{where}: {value!r} is no {name}"
        elif name in self._classes:
            yield from self._object(name, value, where)
