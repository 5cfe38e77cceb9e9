"""Reads GGUF files (versions 2 and 3, little-endian): metadata, and the places of the tensors.

A file is a header, key-value pairs, descriptions of tensors, padding, and the tensors' bytes. All of it is checked
against the length of the file before it is touched.
"""

from __future__ import annotations

import mmap
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
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 4

_STRING = 8
_ARRAY = 9
# The number types of metadata values.
_SCALARS = {
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
    """An open GGUF file. `metadata` holds numbers, strings and lists of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ExportError(f"{path}: {error.strerror if isinstance(error, OSError) else 'is empty'}") from None
        self.metadata, self.tensors = _Parser(path, self._bytes).parse()

    def get(self, key: str, kind: type[Value], default: Value | None = None) -> Value:
        """The metadata value `key`; without a default, its absence is an error, as is a value of another kind."""
        value = self.metadata.get(key, default)
        if value is None:
            raise ExportError(f"{self.path}: metadata has no {key}")
        # An integer is fine where a number is wanted, but a truth value is neither.
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ExportError(f"{self.path}: {key} is a {type(value).__name__}, not a {kind.__name__}")
        return value

    def tensor(self, name: str) -> numpy.ndarray:
        """The tensor's values in float32."""
        place = self.tensors[name]
        return dequantize(self._raw(place), place.type).reshape(place.shape)

    def groups(self, name: str) -> Groups | None:
        """The tensor as it is stored, if its type is one of groups of 32."""
        place = self.tensors[name]
        to_groups = place.type.groups
        return to_groups(self._raw(place).reshape(-1, place.type.block_bytes)) if to_groups else None

    def _raw(self, place: TensorPlace) -> numpy.ndarray:
        return numpy.frombuffer(self._bytes, numpy.uint8, place.byte_size, place.offset)


class _Parser:
    """Reads from the beginning to the end of the descriptions of tensors."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._position = 0

    def parse(self) -> tuple[Mapping[str, Any], Mapping[str, TensorPlace]]:
        if self._take(len(MAGIC)) != MAGIC:
            raise ExportError(f"{self._path}: not a GGUF file")
        version = self._number("<I")
        if version not in VERSIONS:
            raise ExportError(f"{self._path}: GGUF version {version} is not supported; 2 and 3 are")
        tensor_count, value_count = self._number("<Q"), self._number("<Q")
        metadata: dict[str, Any] = {}
        for _ in range(value_count):
            key = self._string()
            metadata[key] = self._value(self._number("<I"))
        described = [self._description() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment <= 0:
            raise ExportError(f"{self._path}: general.alignment is {alignment}")
        start = -(-self._position // alignment) * alignment
        return metadata, {name: self._place(name, start, *rest) for name, *rest in described}

    def _description(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        dimensions = self._number("<I")
        if dimensions > MOST_DIMENSIONS:
            raise ExportError(f"{self._path}: tensor {name} has {dimensions} dimensions")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        return name, shape[::-1], self._number("<I"), self._number("<Q")

    def _place(self, name: str, start: int, shape: tuple[int, ...], type_number: int, offset: int) -> TensorPlace:
        if type_number not in TENSOR_TYPES:
            known = ", ".join(known.name for known in TENSOR_TYPES.values())
            raise ExportError(
                f"{self._path}: tensor {name} is of GGML type {type_number}, which is not supported; these are: {known}"
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

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array()
        return self._scalars(kind, 1)[0]

    def _array(self) -> list[Any]:
        kind, count = self._number("<I"), self._number("<Q")
        if kind not in (_STRING, _ARRAY):
            return self._scalars(kind, count)
        # Each takes at least its length.
        self._check_left(8 * count)
        return [self._value(kind) for _ in range(count)]

    def _scalars(self, kind: int, count: int) -> list[Any]:
        if kind not in _SCALARS:
            raise ExportError(f"{self._path}: metadata of unknown type {kind}")
        dtype = _SCALARS[kind]
        return numpy.frombuffer(self._take(count * dtype.itemsize), dtype).tolist()

    def _string(self) -> str:
        # Some vocabularies hold tokens that are not whole characters.
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
