"""A small decoder with random weights, as the operators take it and in double precision."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(os.environ.get("PREDICTD_KERNELS") or ROOT / "build/lib/libpredictd_kernels.so").resolve()
GROUP = 32
PANEL = 16
FORMATS = ("q4", "q8", "f16")
EPSILON = 1e-5
# What rounding x to 8 bits may change, relative to all that is added: half a step of 127 for each of many numbers.
TOLERANCE = {"q4": 0.02, "q8": 0.02, "f16": 1e-4}


@dataclass
class Matrix:
    packed: Tensor
    # float64 [rows, columns]: what it means.
    values: Tensor

    @property
    def columns(self) -> int:
        return self.values.size(1)


def random_matrix(form: str, rows: int, columns: int, generator: torch.Generator) -> Matrix:
    """Values are about 0.1 in all formats."""
    groups = (rows, columns // GROUP)
    if form == "f16":
        weight = (torch.randn(rows, columns, generator=generator) * 0.1).half()
        return Matrix(torch.ops.predictd.pack_f16(weight), weight.double())
    scales = torch.randn(groups, generator=generator)
    if form == "q8":
        quants = torch.randint(-128, 128, (rows, columns), dtype=torch.int8, generator=generator)
        scales = (scales * 0.0015).half()
        values = quants.double() * scales.double().repeat_interleave(GROUP, 1)
        return Matrix(torch.ops.predictd.pack_q8(quants, scales), values)
    quants = torch.randint(0, 16, (rows, columns), dtype=torch.uint8, generator=generator)
    scales = (scales * 0.01).half()
    minima = (torch.randn(groups, generator=generator) * 0.05).half()
    values = quants.double() * scales.double().repeat_interleave(GROUP, 1) + minima.double().repeat_interleave(GROUP, 1)
    return Matrix(torch.ops.predictd.pack_q4(quants, scales, minima), values)


def normed(x: Tensor, factors: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt() * factors.double()


def turned(heads: Tensor, turns: Tensor) -> Tensor:
    """heads [rows, heads, width], with the turns [rows, width] of their positions."""
    cosine, sine = turns.double().unsqueeze(1).unflatten(-1, (-1, 2)).unbind(-1)
    first, second = heads.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((first * cosine - second * sine, first * sine + second * cosine), -1).flatten(-2)


def make_turns(positions: int, width: int) -> Tensor:
    angles = torch.outer(torch.arange(positions).double(), 1e4 ** -(torch.arange(0, width, 2).double() / width))
    return torch.stack((angles.cos(), angles.sin()), -1).flatten(1).float()


def distance(got: Tensor, expected: Tensor, before: Tensor) -> float:
    """How far results are apart, relative to what was added to `before`."""
    return float((got.double() - expected).norm() / (expected - before.double()).norm())


@dataclass(frozen=True)
class Shape:
    width: int = 64
    kv_heads: int = 2
    group: int = 3
    head_width: int = 32
    feed_forward: int = 96
    positions: int = 64
    slots: int = 4
    bias: bool = False
    head_norms: bool = False


class Layer:
    """The weights of a layer. Its methods are the blocks in double precision, for all tokens of one sequence."""

    def __init__(self, shape: Shape, form: str, generator: torch.Generator) -> None:
        self.shape = shape
        queries = shape.kv_heads * shape.group * shape.head_width
        rows = queries + 2 * shape.kv_heads * shape.head_width
        self.norm = torch.rand(shape.width, generator=generator) + 0.5
        self.qkv = random_matrix(form, rows, shape.width, generator)
        self.bias = torch.randn(rows, generator=generator) if shape.bias else None
        self.head_norms = torch.rand(2, shape.head_width, generator=generator) + 0.5 if shape.head_norms else None
        self.output = random_matrix(form, shape.width, queries, generator)
        self.feed_forward_norm = torch.rand(shape.width, generator=generator) + 0.5
        self.gate_up = random_matrix(form, 2 * shape.feed_forward, shape.width, generator)
        self.down = random_matrix(form, shape.width, shape.feed_forward, generator)
        self.turns = make_turns(shape.positions, shape.head_width)

    def weights(self) -> list[Tensor]:
        """In the order of layers_."""
        matrices = (self.qkv, self.output, self.gate_up, self.down)
        qkv, output, gate_up, down = (matrix.packed for matrix in matrices)
        return [self.norm, qkv, output, self.feed_forward_norm, gate_up, down]

    def make_cache(self, dtype: torch.dtype = torch.float32) -> Tensor:
        shape = self.shape
        return torch.ops.predictd.make_cache(shape.slots, shape.kv_heads, shape.positions, shape.head_width, dtype)

    def run_attention(self, x: Tensor, positions: Tensor, slot: int, cache: Tensor) -> None:
        torch.ops.predictd.attention_(
            x, self.norm, EPSILON, self.qkv.packed, self.bias, self.head_norms, self.output.packed, self.turns,
            positions, slot, cache,
        )  # fmt: skip

    def run_feed_forward(self, x: Tensor) -> None:
        norm, gate_up, down = self.feed_forward_norm, self.gate_up.packed, self.down.packed
        torch.ops.predictd.feed_forward_(x, norm, EPSILON, gate_up, down)

    def attention(self, x: Tensor) -> Tensor:
        shape = self.shape
        length = x.size(0)
        qkv = normed(x.double(), self.norm) @ self.qkv.values.T
        if self.bias is not None:
            qkv = qkv + self.bias.double()
        heads = qkv.view(length, -1, shape.head_width)
        first_key = shape.kv_heads * shape.group
        queries, keys, values = heads.tensor_split((first_key, first_key + shape.kv_heads), 1)
        if self.head_norms is not None:
            queries, keys = normed(queries, self.head_norms[0]), normed(keys, self.head_norms[1])
        queries, keys = turned(queries, self.turns[:length]), turned(keys, self.turns[:length])
        keys, values = keys.repeat_interleave(shape.group, 1), values.repeat_interleave(shape.group, 1)
        attended = torch.nn.functional.scaled_dot_product_attention(
            queries.transpose(0, 1), keys.transpose(0, 1), values.transpose(0, 1), is_causal=True
        )
        return x.double() + attended.transpose(0, 1).flatten(1) @ self.output.values.T

    def feed_forward(self, x: Tensor) -> Tensor:
        products = normed(x.double(), self.feed_forward_norm) @ self.gate_up.values.T
        gate, up = products.unflatten(1, (-1, 2, PANEL)).unbind(2)
        return x.double() + (torch.nn.functional.silu(gate) * up).flatten(1) @ self.down.values.T


class Decoder:
    """Layers, and their caches."""

    def __init__(self, form: str = "q4", layers: int = 2, seed: int = 1, shape: Shape = Shape()) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.shape = shape
        self.layers = [Layer(shape, form, generator) for _ in range(layers)]
        self.weights = [weight for layer in self.layers for weight in layer.weights()]
        self.biases = [layer.bias for layer in self.layers if layer.bias is not None]
        self.head_norms = [layer.head_norms for layer in self.layers if layer.head_norms is not None]
        self.caches = [layer.make_cache() for layer in self.layers]

    def tokens(self, count: int, seed: int = 1) -> Tensor:
        return torch.randn(count, self.shape.width, generator=torch.Generator().manual_seed(seed))

    def run(self, x: Tensor, positions: Tensor, slot: int = 0) -> Tensor:
        """All layers of a copy of x."""
        x = x.clone()
        torch.ops.predictd.layers_(
            x, EPSILON, self.weights, self.biases, self.head_norms, self.layers[0].turns, positions, slot, self.caches
        )
        return x

    def in_double_precision(self, x: Tensor) -> Tensor:
        x = x.double()
        for layer in self.layers:
            x = layer.feed_forward(layer.attention(x))
        return x
