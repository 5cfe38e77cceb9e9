"""Runs sequences on exported modules, as the server does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generator_export.folder import write_generator
from generator_export.options import FolderOptions
from generator_export.reference import ReferenceModel
from generator_export.source import Source
from tiny_models import VOCABULARY


class Sequence:
    """A sequence of random tokens in a slot, run in calls of its own."""

    def __init__(self, length: int, seed: int) -> None:
        self.tokens = torch.randint(VOCABULARY, (1, length), generator=torch.Generator().manual_seed(seed))
        self.positions = torch.arange(length).view(1, -1)

    def run(self, model: torch.jit.ScriptModule, cache: list[Tensor], slot: int, *chunks: int) -> Tensor:
        """Runs it in chunks of these lengths, and returns the logits after the last."""
        assert sum(chunks) == self.tokens.size(1)
        begin, logits = 0, torch.empty(0)
        for chunk in chunks:
            here = slice(begin, begin + chunk)
            logits = model(self.tokens[:, here], self.positions[:, here], slot, cache)
            begin += chunk
        return logits


def exported(source: Source, folder: Path, **options: Any) -> torch.jit.ScriptModule:
    """`options` are those of the folder; it must be possible to use the operators that they ask for."""
    assert write_generator(source, folder, FolderOptions(max_length=256, **options)).misfit is None
    return torch.jit.load(folder / "1" / "model.pt")


def logits_beside_reference(source: Source, model: torch.jit.ScriptModule) -> tuple[Tensor, Tensor]:
    """What the module and the reference say after 1, 2, 40 and 75 tokens, and the module again after 75 in pieces."""
    cache = model.make_cache(3, 100)
    sequence = Sequence(75, seed=1)
    actual, lengths = [], (1, 2, 40, 75)
    for length in lengths:
        part = Sequence(75, seed=1)
        part.tokens = part.tokens[:, :length]
        actual.append(part.run(model, cache, 1, length))
    actual.append(sequence.run(model, cache, 2, 32, 31, *[1] * 12))
    expected = ReferenceModel(source.checkpoint).logits(sequence.tokens[0])
    assert expected.std() > 1
    return torch.cat(actual), expected[[*(length - 1 for length in lengths), -1]]
