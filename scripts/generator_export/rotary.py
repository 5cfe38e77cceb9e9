"""The rotary position embedding as decoders compute it: pairs of elements beside each other, turned by table."""

from __future__ import annotations

import torch
from torch import Tensor

from generator_export.architecture import Architecture, Rotation


def paired(architecture: Architecture, rows: Tensor) -> Tensor:
    """Puts those rows of each head that the rotary embedding turns together beside each other."""
    if architecture.rotation == Rotation.ADJACENT_PAIRS:
        return rows
    halves = rows.reshape(-1, 2, architecture.head_width // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def turns(architecture: Architecture) -> Tensor:
    """float32 [positions, head width]: cosine and sine for each pair of elements."""
    positions = torch.arange(architecture.context_length, dtype=torch.float64)
    angles = torch.outer(positions, torch.tensor(architecture.frequencies, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1).float()
