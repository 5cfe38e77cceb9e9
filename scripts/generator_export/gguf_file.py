"""Reads GGUF files (versions 2 and 3, little-endian): metadata, and the places of the tensors.

A file is a header, key-value pairs, descriptions of tensors, padding, and the tensors' bytes. All of it is checked
against the length of the file before it is touched.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy

from generator_export.dequantize import TENSOR_TYPES, TensorType, dequantize
from generator_export.errors import ExportError
from generator_export.groups import Groups

MAGIC = b"GGUF"
OLDER_MAGICS = (b"lmgg", b"fmgg", b"tjgg", b"algg")
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 4
MOST_VALUES = 1 << 40
# Nobody nests lists more deeply than this.
MOST_NESTED = 8

# The name of one of several files.
PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")

_STRING = 8
_ARRAY = 9
# The number types of metadata values.
_SCALARS: dict[int, numpy.dtype[Any]] = {
    0: numpy.dtype("<u1"),
    1: numpy.dtype("<i1"),
    2: numpy.dtype("<u2"),
    3: numpy.dtype("<i2"),
    4: numpy.dtype("<u4"),
    5: numpy.dtype("<i4"),
    6: numpy.dtype("<f4"),
    7: numpy.dtype("?"),
    10: numpy.dtype("<u8"),
    11: numpy.dtype("<i8"),
    12: numpy.dtype("<f8"),
}

Value = TypeVar("Value")


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor is in the file. The shape has the dimension that varies slowest first, as in PyTorch."""

    shape: tuple[int, ...]
    type: TensorType
    offset: int
    byte_size: int


class GgufFile:
    """An open GGUF file, or the first of several into which a model was split, with the tensors of all of them.
    `metadata` is that of the first file: numbers, strings and lists of them."""

    def __init__(self, path: Path) -> None:
        self.path, *others = parts_of_gguf(path)
        first = _Part(self.path)
        self.metadata = first.metadata
        self._places = {name: (first, place) for name, place in first.tensors.items()}
        parts = self.metadata.get("split.count", 1)
        if parts != 1 + len(others):
            raise ExportError(f"{self.path}: is one of {parts} parts, and its name does not say which others there are")
        for other in others:
            part = _Part(other)
            twice = next((name for name in part.tensors if name in self._places), None)
            if twice:
                raise ExportError(f"{other}: has tensor {twice}, as an earlier part has: nothing says which one counts")
            self._places.update((name, (part, place)) for name, place in part.tensors.items())
        expected = self.metadata.get("split.tensors.count", len(self._places))
        if expected != len(self._places):
            raise ExportError(f"{self.path}: its parts have {len(self._places)} tensors, not {expected}")
        self.tensors = {name: place for name, (_, place) in self._places.items()}

    def get(self, key: str, kind: type[Value], default: Value | None = None) -> Value:
        """The metadata value `key`. It is an error if the value is absent and there is no default, or if it is of
        another kind."""
        return self.checked(key, self.metadata.get(key), kind, default)

    def checked(self, key: str, value: Any, kind: type[Value], default: Value | None = None) -> Value:
        """`value` of `key`, or `default` if it is None, if that is of `kind`; otherwise an error that names the key."""
        value = default if value is None else value
        if value is None:
            raise ExportError(f"{self.path}: metadata has no {key}")
        # An integer may stand where a number is expected, but a boolean is neither.
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ExportError(f"{self.path}: {key} is a {type(value).__name__}, not a {kind.__name__}")
        return value

    def tensor(self, name: str) -> numpy.ndarray:
        """The tensor's values in float32."""
        place = self.tensors[name]
        return dequantize(self._raw(name), place.type).reshape(place.shape)

    def groups(self, name: str) -> Groups | None:
        """The tensor as it is stored, if its type has groups of 32."""
        kind = self.tensors[name].type
        return kind.groups(self._raw(name).reshape(-1, kind.block_bytes)) if kind.groups else None

    def _raw(self, name: str) -> numpy.ndarray:
        part, place = self._places[name]
        return numpy.frombuffer(part.bytes, numpy.uint8, place.byte_size, place.offset)


class _Part:
    """One file."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise ExportError(f"{path}: there is no such file, and the model's tensors are split among files") from None
        except (OSError, ValueError) as error:
            raise ExportError(f"{path}: {error.strerror if isinstance(error, OSError) else 'is empty'}") from None
        self.metadata, self.tensors = _Parser(path, self.bytes).parse()


def parts_of_gguf(path: Path) -> list[Path]:
    """The files of the model to which this one belongs, the first one first, by the names that llama.cpp gives them."""
    name = PART.fullmatch(path.name)
    if not name:
        return [path]
    count = int(name["count"])
    return [path.with_name(f"{name['stem']}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)]


def _version_problem(version: int) -> str:
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    if swapped in VERSIONS:
        return (
            f"is a big-endian file of GGUF version {swapped}: gguf-convert-endian of the package gguf turns it around"
        )
    return f"is of GGUF version {version}: a newer file of the model, or another conversion, will do"


class _Parser:
    """Reads from the beginning to the end of the descriptions of tensors."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._position = 0

    def parse(self) -> tuple[Mapping[str, Any], Mapping[str, TensorPlace]]:
        magic = self._take(len(MAGIC))
        if magic in OLDER_MAGICS:
            raise ExportError(f"{self._path}: is from before GGUF: a newer file of the model will do")
        if magic != MAGIC:
            raise ExportError(f"{self._path}: not a GGUF file; of a Hugging Face model the folder is wanted")
        version = self._number("<I")
        if version not in VERSIONS:
            raise ExportError(f"{self._path}: {_version_problem(version)}; 2 and 3 are supported, little-endian")
        tensor_count, value_count = self._number("<Q"), self._number("<Q")
        metadata: dict[str, Any] = {}
        for _ in range(value_count):
            key = self._string()
            metadata[key] = self._value(self._number("<I"))
        described = [self._description() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or isinstance(alignment, bool) or alignment <= 0:
            raise ExportError(f"{self._path}: general.alignment is {alignment}")
        start = -(-self._position // alignment) * alignment
        places: dict[str, TensorPlace] = {}
        for name, shape, type_number, offset in described:
            # llama.cpp refuses this, too, within a file and across the files of a model.
            if name in places:
                raise ExportError(f"{self._path}: has tensor {name} twice: nothing says which one counts")
            places[name] = self._place(name, start, shape, type_number, offset)
        return metadata, places

    def _description(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        dimensions = self._number("<I")
        if dimensions > MOST_DIMENSIONS:
            raise ExportError(f"{self._path}: tensor {name} has {dimensions} dimensions")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        if any(size > MOST_VALUES for size in shape):
            raise ExportError(f"{self._path}: tensor {name} has shape {shape[::-1]}: the file is broken")
        return name, shape[::-1], self._number("<I"), self._number("<Q")

    def _place(self, name: str, start: int, shape: tuple[int, ...], type_number: int, offset: int) -> TensorPlace:
        if type_number not in TENSOR_TYPES:
            known = ", ".join(known.name for known in TENSOR_TYPES.values())
            raise ExportError(
                f"{self._path}: tensor {name} is of GGML type {type_number}, which is not supported (llama-quantize"
                f" --allow-requantize makes others of it); these are: {known}"
            )
        tensor_type = TENSOR_TYPES[type_number]
        values = 1
        for size in shape:
            values *= size
        if not shape or shape[-1] % tensor_type.block_values:
            raise ExportError(f"{self._path}: a tensor of shape {shape} cannot be {tensor_type.name}: {name}")
        byte_size = values // tensor_type.block_values * tensor_type.block_bytes
        if start + offset + byte_size > len(self._data):
            raise ExportError(f"{self._path}: the file is truncated: it ends before the end of tensor {name}")
        return TensorPlace(shape, tensor_type, start + offset, byte_size)

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array(depth + 1)
        return self._scalars(kind, 1)[0]

    def _array(self, depth: int) -> list[Any]:
        if depth > MOST_NESTED:
            raise ExportError(f"{self._path}: metadata is nested too deeply: the file is broken")
        kind, count = self._number("<I"), self._number("<Q")
        if kind not in (_STRING, _ARRAY):
            return self._scalars(kind, count)
        # Each string takes at least the bytes of its length.
        self._check_left(8 * count)
        return [self._value(kind, depth) for _ in range(count)]

    def _scalars(self, kind: int, count: int) -> list[Any]:
        if kind not in _SCALARS:
            raise ExportError(f"{self._path}: metadata of unknown type {kind}")
        dtype = _SCALARS[kind]
        return numpy.frombuffer(self._take(count * dtype.itemsize), dtype).tolist()

    def _string(self) -> str:
        # Some vocabularies contain tokens that are not whole characters.
        return self._take(self._number("<Q")).decode("utf-8", errors="replace")

    def _number(self, layout: str) -> int:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _take(self, count: int) -> bytes:
        self._check_left(count)
        start = self._position
        self._position += count
        return self._data[start : self._position]

    def _check_left(self, count: int) -> None:
        if count > len(self._data) - self._position:
            raise ExportError(f"{self._path}: the file is truncated: it ends within its header")
