"""What the exporters share: model.toml, atomic files, and stamps that make a second run do nothing."""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

STAMP = ".export-stamp"

TomlValue = bool | int | float | str | Sequence[int]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model's signature; -1 in the shape is a dynamic dimension."""

    name: str
    dtype: str
    shape: Sequence[int]
    # Further keys of its table: pad_to and the like.
    settings: Mapping[str, TomlValue] = field(default_factory=dict)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a file beside `path` and renames it, so that no reader ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder, because torch derives from the file's name what it writes and what it calls things inside.
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as partial:
        write(Path(partial, path.name))
        Path(partial, path.name).replace(path)


def move_into_place(made: Path, place: Path) -> None:
    """From one name to another on the same file system, at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made.replace(place)


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def model_toml(
    description: str,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    **settings: TomlValue,
) -> str:
    """The text of a tensor model's model.toml; `settings` are the optional keys that differ from their defaults."""
    lines = ['kind = "tensor"', f"description = {toml_value(description)}"]
    lines += [f"{key} = {toml_value(value)}" for key, value in settings.items()]
    for table, specs in (("inputs", inputs), ("outputs", outputs)):
        for spec in specs:
            lines += ["", f"[[{table}]]", f"name = {toml_value(spec.name)}", f"dtype = {toml_value(spec.dtype)}"]
            lines.append(f"shape = {toml_value(spec.shape)}")
            lines += [f"{key} = {toml_value(value)}" for key, value in spec.settings.items()]
    return "\n".join(lines) + "\n"


def toml_value(value: TomlValue) -> str:
    """The value as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, str):
        return f"[{', '.join(str(item) for item in value)}]"
    # JSON writes a text as TOML does, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def fingerprint(*sources: Path) -> str:
    """Changes when a source file, this file, torch or the processor changes: AOTInductor compiles for the processor."""
    digest = hashlib.sha256()
    for source in (Path(__file__), *sources):
        digest.update(source.read_bytes())
    digest.update(version("torch").encode())
    digest.update(platform.machine().encode())
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        flags = (line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("flags"))
        digest.update(next(flags, "").encode())
    return digest.hexdigest()


def is_current(folder: Path, expected: str, files: Sequence[str]) -> bool:
    """True if `folder` has all `files` and a stamp that says that they came from the sources of `expected`."""
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == expected and all((folder / name).exists() for name in files)


def write_stamp(folder: Path, value: str) -> None:
    """Marks the folder as complete; to be called last."""
    write_text(folder / STAMP, value)
