"""The rotary position embedding as the decoders compute it: pairs of neighbouring elements, rotated with a table."""

from __future__ import annotations

import torch
from torch import Tensor

from generator_export.architecture import Architecture, Rotation


def paired(architecture: Architecture, rows: Tensor) -> Tensor:
    """Makes those rows of each head neighbours that the rotary embedding rotates together."""
    if architecture.rotation == Rotation.ADJACENT_PAIRS:
        return rows
    halves = rows.reshape(-1, 2, architecture.head_width // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def turns(architecture: Architecture) -> Tensor:
    """float32 [positions, head width]: cosine and sine for each pair of elements."""
    positions = torch.arange(architecture.context.length, dtype=torch.float64)
    angles = torch.outer(positions, torch.tensor(architecture.rope.frequencies, dtype=torch.float64))
    turned = torch.stack([angles.cos(), angles.sin()], dim=2) * architecture.rope.scale
    return turned.flatten(1).float()
