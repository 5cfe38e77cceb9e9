"""What every kind of source provides: the weights, and what belongs to the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from generator_export.checkpoint import Checkpoint


@dataclass(frozen=True)
class TextSide:
    """What turns text into the model's tokens and back, and how tokens are sampled."""

    # By their names in the version's folder.
    files: Mapping[str, bytes]
    # Jinja, as the model's authors wrote it.
    chat_template: str | None
    bos_token: str
    eos_token: str
    # The texts of other special tokens that chat templates can read, by role.
    more_tokens: Mapping[str, str]
    # Set if a token goes before every prompt.
    leading_token_id: int | None
    # Any of these ends an answer.
    end_token_ids: Sequence[int]
    # By their names in requests.
    defaults: Mapping[str, int | float] = field(default_factory=dict)
    # What the user should know about parts that were left out.
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Source:
    checkpoint: Checkpoint
    text: TextSide
