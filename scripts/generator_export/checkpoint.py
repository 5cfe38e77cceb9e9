"""A model as its source has it: the architecture, and the tensors under names of our own.

Names: `embedding`, `norm` and `head` (absent if the embedding is used in its place), and for layer N those of
layer_shapes() after `layers.N.`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch

from generator_export.architecture import Architecture
from generator_export.errors import ExportError
from generator_export.groups import Groups

# Parts of layers that a model has all of, in every layer, or none.
OPTIONAL_PARTS = (("q_bias", "k_bias", "v_bias"), ("q_norm", "k_norm"))

Shape = tuple[int, ...]


def layer_shapes(architecture: Architecture) -> dict[str, Shape]:
    """The tensors of a layer, by the last part of their names. A matrix has a row for each output."""
    width, inner = architecture.width, architecture.feed_forward_width
    q_width = architecture.heads * architecture.head_width
    kv_width = architecture.kv_heads * architecture.head_width
    return {
        "attention_norm": (width,),
        "q": (q_width, width),
        "k": (kv_width, width),
        "v": (kv_width, width),
        "q_bias": (q_width,),
        "k_bias": (kv_width,),
        "v_bias": (kv_width,),
        "q_norm": (architecture.head_width,),
        "k_norm": (architecture.head_width,),
        "output": (width, q_width),
        "feed_forward_norm": (width,),
        "gate": (inner, width),
        "up": (inner, width),
        "down": (width, inner),
    }


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the source: the name, shape and type that it has there, and how to read it."""

    name: str
    shape: Shape
    type: str
    # As float32.
    read: Callable[[], numpy.ndarray]
    # As it is stored; None if that is not in groups of 32 that the operators could take.
    read_groups: Callable[[], Groups | None]


class Checkpoint:
    """Reads tensors only when they are asked for: no more than one is in memory beside what is made of them."""

    def __init__(
        self, source: Path, name: str, architecture: Architecture, tensors: Mapping[str, StoredTensor]
    ) -> None:
        """`tensors` are all that the source has, by our names; those that have none of ours by their own."""
        self.source = source
        self.name = name
        self.architecture = architecture
        self._tensors = tensors
        self._check()

    def has(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str) -> torch.Tensor:
        stored = self._tensors[name]
        values = torch.from_numpy(numpy.ascontiguousarray(stored.read()))
        if not torch.isfinite(values).all():
            raise ExportError(f"{self.source}: tensor {stored.name} holds values that are not finite")
        return values

    def stored_type(self, name: str) -> str:
        """The type that the tensor has in the source, by the name that the source's format has for it."""
        return self._tensors[name].type

    def groups(self, name: str) -> Groups | None:
        """The tensor as it is stored; None if that is not in groups of 32 that the operators could take."""
        return self._tensors[name].read_groups()

    def _check(self) -> None:
        architecture = self.architecture
        if architecture.heads % architecture.kv_heads or architecture.head_width % 2:
            raise ExportError(
                f"{self.source}: {architecture.heads} heads of width {architecture.head_width} cannot share"
                f" {architecture.kv_heads} key heads, or cannot be turned in pairs"
            )
        unknown = dict(self._tensors)
        for name, shape, optional in self._expected():
            stored = unknown.pop(name, None)
            if stored is None:
                if not optional:
                    raise ExportError(f"{self.source}: there is no tensor for {name}")
            elif stored.shape != shape:
                raise ExportError(f"{self.source}: tensor {stored.name} has shape {stored.shape}, not {shape}")
        if unknown:
            names = sorted(stored.name for stored in unknown.values())
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ExportError(f"{self.source}: do not know what to do with tensor {names[0]}{more}")

    def _expected(self) -> Iterator[tuple[str, Shape, bool]]:
        """Name, shape, and whether the tensor may be missing."""
        vocabulary = (self.architecture.vocabulary_size, self.architecture.width)
        yield "embedding", vocabulary, False
        yield "norm", vocabulary[1:], False
        yield "head", vocabulary, True
        shapes = layer_shapes(self.architecture)
        absent: set[str] = set()
        for parts in OPTIONAL_PARTS:
            if not any(self.has(f"layers.0.{part}") for part in parts):
                absent.update(parts)
        for layer in range(self.architecture.layers):
            for part, shape in shapes.items():
                if part not in absent:
                    yield f"layers.{layer}.{part}", shape, False
