"""Reads JSON files in which keys may be missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generator_export.errors import ExportError


class JsonDocument:
    """A JSON object in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise ExportError(f"{path}: there is no such file") from None
        except (OSError, ValueError, RecursionError) as error:
            raise ExportError(f"{path}: {error}") from None
        if not isinstance(self.values, dict):
            raise ExportError(f"{path}: not a JSON object")

    @classmethod
    def empty(cls, path: Path) -> JsonDocument:
        """A replacement for a file that is optional."""
        document = cls.__new__(cls)
        document.path, document.values = path, {}
        return document

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of `key`. It is an error if the value is absent and there is no default, or if it is of another
        kind."""
        return checked(self.path, key, self.values.get(key), kind, default)


def checked(path: Path, key: str, value: Any, kind: type, default: Any = None) -> Any:
    """`value`, or `default` if it is None, if that is of `kind`; otherwise an error that names the key."""
    if value is None:
        value = default
    if value is None:
        raise ExportError(f"{path}: there is no {key}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ExportError(f"{path}: {key} is {value!r}, not a {kind.__name__}")
    return value
