"""What every kind of source gives: the weights, and what goes with the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from generator_export.checkpoint import Checkpoint


@dataclass(frozen=True)
class TextSide:
    """What turns text into the model's tokens and back."""

    # By their names in the version's folder.
    files: Mapping[str, bytes]
    # Jinja, as the model's authors wrote it.
    chat_template: str | None
    bos_token: str
    eos_token: str
    # Set if it goes before every prompt.
    leading_token_id: int | None
    # Any of these ends an answer.
    end_token_ids: Sequence[int]


@dataclass(frozen=True)
class Source:
    checkpoint: Checkpoint
    text: TextSide
