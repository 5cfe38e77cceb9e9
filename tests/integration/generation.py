"""What the tests of generators need: a tiny random model behind a real tokenizer, and requests for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from protocol import ROOT, GenerationRequest, PredictRequest, PredictStreamRequest

sys.path.append(str(ROOT / "tests/scripts"))

NAME = "tiny"
MAX_LENGTH = 2048
SLOTS = 16
STOP = 1
LENGTH = 2


def export_tiny_generator(repository: Path) -> Path:
    """A model of the Llama family with a few thousand random weights, exported as real ones are."""
    from tiny_models import tiny_model, write_safetensors

    source = write_safetensors(repository.parent / "source", tiny_model("llama"))
    subprocess.run(
        [sys.executable, ROOT / "scripts/export_generator.py", source, repository / NAME, f"--slots={SLOTS}"],
        check=True,
    )
    return repository


def generation_request(prompt: str | None = None, *, model: str = NAME, request_id: str = "", **fields: Any) -> Any:
    """Greedy and without an end of its own unless the fields say otherwise."""
    defaults = {"temperature": 0, "ignore_end": True, "max_tokens": 20}
    generation = GenerationRequest(**{**defaults, **fields})
    if prompt is not None:
        generation.text = prompt
    return PredictRequest(model_name=model, request_id=request_id, generation=generation)


def stream_request(*args: Any, **kwargs: Any) -> Any:
    return PredictStreamRequest(predict=generation_request(*args, **kwargs))


def ids(tokens: Iterable[Any]) -> list[int]:
    return [token.id for token in tokens]


class Streamed:
    """What came of a stream: the pieces of each answer put together, and the events around them."""

    def __init__(self, stream: Iterable[Any]) -> None:
        self.start: Any = None
        self.summary: Any = None
        self.pieces: list[Any] = []
        for event in stream:
            self.take(event)

    def take(self, event: Any) -> None:
        kind = event.WhichOneof("event")
        if kind == "delta":
            self.pieces.append(event.delta)
        else:
            setattr(self, kind, getattr(event, kind))

    def text(self, index: int = 0) -> str:
        return "".join(piece.text for piece in self.pieces if piece.index == index)

    def tokens(self, index: int = 0) -> list[int]:
        return [token.id for piece in self.pieces if piece.index == index for token in piece.tokens]

    def finish_reason(self, index: int = 0) -> int:
        return [piece for piece in self.pieces if piece.index == index][-1].finish_reason
