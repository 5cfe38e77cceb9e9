"""Makes the plain decoder from a checkpoint: where each weight goes, and in which order its rows and columns are."""

from __future__ import annotations

import torch
from torch import Tensor

from generator_export.architecture import Architecture
from generator_export.checkpoint import Checkpoint
from generator_export.decoder import Decoder, HeadNorm, Layer, Norm, PackedLinear
from generator_export.errors import ExportError
from generator_export.rotary import paired, turns

LARGEST_HALF = torch.finfo(torch.float16).max


def build_decoder(checkpoint: Checkpoint) -> Decoder:
    """The decoder with the checkpoint's weights, ready to be scripted. It is never trained: it has no parameters."""
    architecture = checkpoint.architecture
    embedding = checkpoint.tensor("embedding")
    head = checkpoint.tensor("head") if checkpoint.has("head") else embedding
    return Decoder(
        _half(checkpoint, "embedding", embedding),
        [_layer(checkpoint, f"layers.{index}.") for index in range(architecture.layers)],
        Norm(architecture.width, architecture.norm_epsilon),
        _linear(checkpoint, "the head", head * _norm_factors(checkpoint, "norm")),
        turns(architecture),
    ).eval()


def _layer(checkpoint: Checkpoint, prefix: str) -> Layer:
    architecture = checkpoint.architecture
    norm = Norm(architecture.width, architecture.norm_epsilon)
    parts = {name: checkpoint.tensor(prefix + name) for name in ("q", "k", "v", "output", "gate", "up", "down")}
    qkv = torch.cat([_query(architecture, parts["q"]), paired(architecture, parts["k"]), parts["v"]])
    attention_factors = _norm_factors(checkpoint, prefix + "attention_norm")
    feed_forward_factors = _norm_factors(checkpoint, prefix + "feed_forward_norm")
    return Layer(
        norm,
        _linear(checkpoint, prefix + "qkv", qkv * attention_factors, _qkv_bias(checkpoint, prefix)),
        _head_norm(checkpoint, prefix),
        _linear(
            checkpoint,
            prefix + "output",
            _by_group(architecture, parts["output"].T).T,
            _bias(checkpoint, prefix, "output"),
        ),
        _linear(
            checkpoint,
            prefix + "gate_up",
            torch.cat([parts["gate"], parts["up"]]) * feed_forward_factors,
            _bias(checkpoint, prefix, "gate", "up"),
        ),
        _linear(checkpoint, prefix + "down", parts["down"], _bias(checkpoint, prefix, "down")),
        architecture.kv_heads,
        architecture.heads // architecture.kv_heads,
        architecture.head_width,
    )


def _norm_factors(checkpoint: Checkpoint, name: str) -> Tensor:
    """The factors of a norm, which Norm leaves to the columns of the matrix that follows it."""
    factors = checkpoint.tensor(name)
    return factors * factors.numel() ** 0.5


def _bias(checkpoint: Checkpoint, prefix: str, *names: str) -> Tensor | None:
    """The joined bias of matrices that are stacked."""
    if not checkpoint.has(f"{prefix}{names[0]}_bias"):
        return None
    return torch.cat([checkpoint.tensor(f"{prefix}{name}_bias") for name in names])


def _qkv_bias(checkpoint: Checkpoint, prefix: str) -> Tensor | None:
    if not checkpoint.has(prefix + "q_bias"):
        return None
    q, k, v = (checkpoint.tensor(prefix + name) for name in ("q_bias", "k_bias", "v_bias"))
    return torch.cat([_query(checkpoint.architecture, q), paired(checkpoint.architecture, k), v])


def _head_norm(checkpoint: Checkpoint, prefix: str) -> HeadNorm | None:
    architecture = checkpoint.architecture
    if not checkpoint.has(prefix + "q_norm"):
        return None
    query = paired(architecture, checkpoint.tensor(prefix + "q_norm")).expand(architecture.heads, -1)
    key = paired(architecture, checkpoint.tensor(prefix + "k_norm")).expand(architecture.kv_heads, -1)
    factors = torch.cat([query, key]) * architecture.head_width**0.5
    return HeadNorm(factors, architecture.norm_epsilon)


def _by_group(architecture: Architecture, rows: Tensor) -> Tensor:
    """Reorders rows from (key head, row of its group, element) to (row of a group, key head, element)."""
    shape = (architecture.kv_heads, -1, architecture.head_width, *rows.shape[1:])
    return rows.reshape(shape).transpose(0, 1).reshape(rows.shape)


def _query(architecture: Architecture, rows: Tensor) -> Tensor:
    return _by_group(architecture, paired(architecture, rows))


def _linear(checkpoint: Checkpoint, name: str, weight: Tensor, bias: Tensor | None = None) -> PackedLinear:
    _half(checkpoint, name, weight)
    return PackedLinear(weight.contiguous(), bias)


def _half(checkpoint: Checkpoint, name: str, weight: Tensor) -> Tensor:
    if weight.abs().max() > LARGEST_HALF:
        raise ExportError(f"{checkpoint.source}: the weights of {name} do not fit half precision")
    return weight.half()
