"""The Helm engine, through the C interface of helm-c-sdk (PyPI: helm-python-sdk): rendering, linting, YAML."""

import ctypes
import json
from pathlib import Path

from .suite import DEPS


class HelmError(Exception):
    """What Helm says."""


class Engine:
    """One loaded library; its strings are its own and are freed once copied."""

    def __init__(self, path: Path = DEPS / "helm/libhelm_c.so"):
        self._library = ctypes.CDLL(str(path))
        self._library.helm_free_string.restype = None
        self._library.helm_free_string.argtypes = [ctypes.c_void_p]
        self._charts = {}

    def yaml(self, text: str) -> dict:
        """A document of YAML that is a map."""
        return json.loads(self._call("helm_values_from_yaml", text))

    def documents(self, text: str) -> list:
        """Every document of a manifest; empty ones are left out."""
        parts = ("\n" + text).split("\n---")
        real = [part for part in parts if any(
            line.strip() and not line.strip().startswith("#") for line in part.splitlines()
        )]
        return [self.yaml(part) for part in real]

    def lint(self, chart: Path, values: dict) -> list:
        """Messages of `helm lint`."""
        answer = json.loads(self._call("helm_lint_run", str(chart), json.dumps(values)))
        return answer if isinstance(answer, list) else answer.get("messages") or []

    def render(self, chart: Path, values: dict, release: str = "farm", namespace: str = "graphics") -> dict:
        """Text by template; an error when the schema or a template refuses the values."""
        if chart not in self._charts:
            handle = ctypes.c_uint64()
            self._status("helm_chart_load", str(chart), ctypes.byref(handle))
            self._charts[chart] = handle
        handle = self._charts[chart]
        options = json.dumps({"name": release, "namespace": namespace})
        self._status("helm_schema_validate", handle, json.dumps(values))
        return json.loads(self._call("helm_render", handle, json.dumps(values), options))

    def _call(self, name: str, *arguments) -> str:
        out = ctypes.c_void_p()
        self._status(name, *arguments, ctypes.byref(out))
        return self._take(out.value)

    def _status(self, name: str, *arguments) -> None:
        error = ctypes.c_void_p()
        encoded = [a.encode() if isinstance(a, str) else a for a in arguments]
        code = getattr(self._library, name)(*encoded, ctypes.byref(error))
        said = self._take(error.value)
        if code != 0:
            raise HelmError(said or f"{name} answered {code}")

    def _take(self, pointer) -> str:
        if not pointer:
            return ""
        text = ctypes.string_at(pointer).decode()
        self._library.helm_free_string(pointer)
        return text
