"""How a model's authors want its tokens to be sampled if a request does not say: these become the server's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generator_export.gguf_file import GgufFile

Defaults = Mapping[str, int | float]


@dataclass(frozen=True)
class _Range:
    least: float
    most: float
    # Whether the lower bound itself is excluded.
    open: bool = False

    def has(self, value: float) -> bool:
        return self.least <= value <= self.most and not (self.open and value == self.least)


# The ranges that the server accepts: proto/predictd/v1/generation.proto. A top_k is any 64-bit number there.
_RANGES = {
    "temperature": _Range(0, 100),
    "top_k": _Range(0, (1 << 63) - 1),
    "top_p": _Range(0, 1, open=True),
    "min_p": _Range(0, 1),
    "repetition_penalty": _Range(0.01, 10),
    "presence_penalty": _Range(-2, 2),
    "frequency_penalty": _Range(-2, 2),
}
_INTEGERS = ("top_k",)
# What transformers uses if tokens are to be drawn and the file does not say from how many; 0 means from all.
DRAWN_FROM = 50
# These have no effect if the likeliest token is taken.
_CHOOSING = ("top_k", "top_p", "min_p")

_GGUF_KEYS = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}


def from_generation_config(values: Mapping[str, Any]) -> tuple[Defaults, list[str]]:
    """Reads generation_config.json, and returns also what the user should know about it. `do_sample` = false asks for
    the likeliest tokens; if it is missing, the values that are there count."""
    wanted = {name: values.get(name) for name in _RANGES}
    if values.get("do_sample") is False:
        wanted |= {"temperature": 0.0, **dict.fromkeys(_CHOOSING)}
    elif values.get("do_sample") is True and wanted["top_k"] is None:
        wanted["top_k"] = DRAWN_FROM
    return _checked(wanted, "generation_config.json")


def from_gguf(file: GgufFile) -> tuple[Defaults, list[str]]:
    wanted = {ours: file.metadata.get(f"general.sampling.{theirs}") for theirs, ours in _GGUF_KEYS.items()}
    return _checked(wanted, file.path.name)


def _checked(wanted: Mapping[str, Any], origin: str) -> tuple[Defaults, list[str]]:
    defaults: dict[str, int | float] = {}
    notes = []
    for name, given in wanted.items():
        if given is None:
            continue
        value = 0 if name == "top_k" and isinstance(given, int) and given < 0 else given
        # A value that is not finite is in no range.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not _RANGES[name].has(value) or (name in _INTEGERS and value != int(value)):
            notes.append(f"{origin}: {name} is {value!r}, which the server does not take: left out")
            continue
        # Values that are rounded to single precision in a GGUF file should come out readable.
        defaults[name] = int(value) if name in _INTEGERS else float(f"{value:.7g}")
    return defaults, notes
