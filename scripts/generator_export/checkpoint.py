"""A model as its source has it: the architecture, and the tensors under our own names.

The names are `embedding`, `norm` and `head` (absent if the embedding is used in its place), and for layer N those of
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

# Optional parts of layers. A model has all parts of a group in every layer, or none of them.
OPTIONAL_PARTS = (
    ("q_bias", "k_bias", "v_bias"),
    ("q_norm", "k_norm"),
    ("output_bias",),
    ("gate_bias", "up_bias", "down_bias"),
)

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
        "output_bias": (width,),
        "feed_forward_norm": (width,),
        "gate": (inner, width),
        "up": (inner, width),
        "down": (width, inner),
        "gate_bias": (inner,),
        "up_bias": (inner,),
        "down_bias": (width,),
    }


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the source: its name, shape and type there, and how to read it."""

    name: str
    shape: Shape
    type: str
    # Returns the values as float32.
    read: Callable[[], numpy.ndarray]
    # Returns the tensor as it is stored; None if that is not in groups of 32 that the operators accept.
    read_groups: Callable[[], Groups | None]


class Checkpoint:
    """Reads a tensor only when it is asked for: at most one is in memory beside what is made from it."""

    def __init__(
        self, source: Path, name: str, architecture: Architecture, tensors: Mapping[str, StoredTensor]
    ) -> None:
        """`tensors` are all tensors of the source, by our names; those for which we have no name are under their own
        names."""
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

    def has_values(self, part: str) -> bool:
        """Whether the layers have this part, and it is not zero in all of them: some files have biases that are all
        zeros."""
        if not self.has(f"layers.0.{part}"):
            return False
        return any(bool(self.tensor(f"layers.{layer}.{part}").any()) for layer in range(self.architecture.layers))

    def stored_type(self, name: str) -> str:
        """The type of the tensor in the source, by its name in the source's format."""
        return self._tensors[name].type

    def groups(self, name: str) -> Groups | None:
        """The tensor as it is stored; None if that is not in groups of 32 that the operators accept."""
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
        """Yields each name with its shape and whether the tensor may be missing."""
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
