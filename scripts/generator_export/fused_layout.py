"""Makes the decoder on the project's own operators: which models it suits, and where their weights go."""

from __future__ import annotations

import torch
from torch import Tensor

from generator_export.architecture import Architecture
from generator_export.checkpoint import Checkpoint
from generator_export.fused_decoder import FusedDecoder
from generator_export.kernels import packed
from generator_export.matrix import COLUMN_MULTIPLE, ROW_MULTIPLE, Format, quantised
from generator_export.rotary import paired, turns
from generator_export.weights import Weights

HEAD_WIDTHS = (32, 64, 96, 128)


# Parts that the operators do not support.
PLAIN_PARTS = {
    "output_bias": "attention's output has a bias",
    "gate_bias": "the feed forward network has biases",
    "up_bias": "the feed forward network has biases",
    "down_bias": "the feed forward network has biases",
}


def misfit(checkpoint: Checkpoint) -> str | None:
    """Why the operators cannot compute a model like this; None if they can."""
    reason = shape_misfit(checkpoint.architecture)
    return reason or next((why for part, why in PLAIN_PARTS.items() if checkpoint.has_values(part)), None)


def shape_misfit(architecture: Architecture) -> str | None:
    if architecture.head_width not in HEAD_WIDTHS:
        *some, last = HEAD_WIDTHS
        return f"the heads' width is {architecture.head_width}, not {', '.join(map(str, some))} or {last}"
    if architecture.width % COLUMN_MULTIPLE:
        return f"the width is {architecture.width}, not a multiple of {COLUMN_MULTIPLE}"
    if architecture.feed_forward_width % COLUMN_MULTIPLE:
        return f"the feed forward width is {architecture.feed_forward_width}, not a multiple of {COLUMN_MULTIPLE}"
    return None


def build_fused_decoder(checkpoint: Checkpoint, weights: Weights, half_cache: bool) -> FusedDecoder:
    """The decoder with the checkpoint's weights, ready to be scripted. load_kernels() must be called first."""
    architecture = checkpoint.architecture
    prefixes = [f"layers.{index}." for index in range(architecture.layers)]
    tables = [checkpoint.tensor("norm"), turns(architecture)]
    tables += [packed(weights.table(name)) for name in ("head", "embedding") if checkpoint.has(name)]
    return FusedDecoder(
        architecture,
        [tensor for prefix in prefixes for tensor in _layer(checkpoint, weights, prefix)],
        [_bias(checkpoint, prefix) for prefix in prefixes if checkpoint.has(prefix + "q_bias")],
        [_head_norms(checkpoint, prefix) for prefix in prefixes if checkpoint.has(prefix + "q_norm")],
        tables,
        _samples(),
        half_cache,
    ).eval()


def _samples() -> list[Tensor]:
    """A matrix of each format, each followed by its values, of which hardly any two are the same."""
    values = torch.randn(2 * ROW_MULTIPLE, 2 * COLUMN_MULTIPLE, generator=torch.Generator().manual_seed(1))
    matrices = [quantised(values, wanted) for wanted in Format]
    return [tensor for matrix in matrices for tensor in (packed(matrix), matrix.values())]


def _layer(checkpoint: Checkpoint, weights: Weights, prefix: str) -> list[Tensor]:
    qkv = weights.joined(*(prefix + name for name in "qkv"))
    gate_up = weights.joined(prefix + "gate", prefix + "up")
    return [
        checkpoint.tensor(prefix + "attention_norm"),
        packed(qkv.rows(_qkv_order(checkpoint.architecture))),
        packed(weights.joined(prefix + "output")),
        checkpoint.tensor(prefix + "feed_forward_norm"),
        packed(gate_up.rows(_gate_up_order(checkpoint.architecture))),
        packed(weights.joined(prefix + "down")),
    ]


def _qkv_order(architecture: Architecture) -> Tensor:
    """The order of rows in which elements of queries and keys that are rotated together are neighbours."""
    q_and_k_rows = (architecture.heads + architecture.kv_heads) * architecture.head_width
    rows = torch.arange(q_and_k_rows + architecture.kv_heads * architecture.head_width)
    return torch.cat([paired(architecture, rows[:q_and_k_rows]), rows[q_and_k_rows:]])


def _gate_up_order(architecture: Architecture) -> Tensor:
    """The order of rows that alternates between gate and up, each time with as many rows as the operators take."""
    return torch.arange(2 * architecture.feed_forward_width).view(2, -1, ROW_MULTIPLE).transpose(0, 1).flatten()


def _bias(checkpoint: Checkpoint, prefix: str) -> Tensor:
    bias = torch.cat([checkpoint.tensor(f"{prefix}{name}_bias") for name in "qkv"])
    return bias[_qkv_order(checkpoint.architecture)]


def _head_norms(checkpoint: Checkpoint, prefix: str) -> Tensor:
    factors = [checkpoint.tensor(f"{prefix}{name}_norm") for name in "qk"]
    return torch.stack([paired(checkpoint.architecture, each) for each in factors])
