"""What a config.json says about positions: how they are rotated, and how many there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from generator_export.architecture import LARGEST_NUMBER, Context
from generator_export.errors import ExportError
from generator_export.json_document import JsonDocument, checked
from generator_export.options import DEFAULT_LENGTH
from generator_export.rope import (
    Rope,
    Yarn,
    linear_frequencies,
    llama3_frequencies,
    longrope_scale,
    rope_frequencies,
    yarn_frequencies,
    yarn_scale,
)

# For models that have a window but do not name it.
DEFAULT_WINDOW = {"mistral": 4096}
# Older names of scalings.
ALIASES = {"su": "longrope"}


@dataclass(frozen=True)
class _Scaling:
    config: JsonDocument
    parameters: Mapping[str, Any]
    base: float
    head_width: int
    context: int
    # The number of positions wanted.
    length: int

    def number(self, key: str, kind: type = float, default: Any = None) -> Any:
        value = checked(self.config.path, f"rope_scaling's {key}", self.parameters.get(key), kind, default)
        if kind in (int, float) and value <= 0:
            raise ExportError(f"{self.config.path}: rope_scaling's {key} is {value}")
        return value

    def has(self, key: str) -> bool:
        return self.parameters.get(key) is not None

    @property
    def original_context(self) -> int:
        outer = self.config.get("original_max_position_embeddings", int, 0)
        return outer or self.number("original_max_position_embeddings", int, self.context)

    @property
    def plain(self) -> list[float]:
        return rope_frequencies(self.base, self.head_width)


def rope_and_context(
    config: JsonDocument, head_width: int, default_context: int, max_length: int | None
) -> tuple[Rope, Context]:
    """`max_length` is the number of positions wanted, if it is known: some scalings depend on it."""
    trained = config.get("max_position_embeddings", int, default_context)
    if not 0 < trained <= LARGEST_NUMBER:
        raise ExportError(f"{config.path}: max_position_embeddings is {trained}")
    # Newer files have one object, older ones two keys.
    parameters = config.get("rope_parameters", dict, {}) or config.get("rope_scaling", dict, {})
    if any(isinstance(value, dict) for value in parameters.values()):
        raise ExportError(f"{config.path}: positions that layers turn differently are not supported")
    if parameters.get("partial_rotary_factor", config.values.get("partial_rotary_factor")) not in (None, 1, 1.0):
        raise ExportError(f"{config.path}: heads of which only a part is turned are not supported")
    base = parameters.get("rope_theta") or config.values.get("rope_theta") or 10000.0
    base = checked(config.path, "rope_theta", base, float)
    if base <= 1:
        raise ExportError(f"{config.path}: rope_theta is {base}")
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    kind = ALIASES.get(str(kind), str(kind))
    if kind not in _KINDS:
        raise ExportError(f"{config.path}: rope scaling {kind} is not supported; these are: {', '.join(_KINDS)}")
    length = max_length or min(trained, DEFAULT_LENGTH)
    rope, context = _KINDS[kind](_Scaling(config, parameters, base, head_width, trained, length))
    window = _window(config)
    if window is not None:
        context = context.up_to(window, f"attention is in a sliding window of {window}")
    return rope, context


def _window(config: JsonDocument) -> int | None:
    """The size of attention's window; None if attention sees the whole sequence."""
    kind = config.get("model_type", str)
    default = DEFAULT_WINDOW.get(kind) if "sliding_window" not in config.values else None
    window = config.get("sliding_window", int, default or 0)
    # Some files name a window that they do not use.
    return window if window > 0 and config.get("use_sliding_window", bool, kind == "mistral") else None


def _default(scaling: _Scaling) -> tuple[Rope, Context]:
    return Rope(scaling.plain), Context(scaling.context)


def _linear(scaling: _Scaling) -> tuple[Rope, Context]:
    factor = scaling.number("factor")
    # Files disagree on whether the context is the one before or after the scaling.
    context = max(scaling.context, min(int(scaling.context * factor), scaling.length))
    return Rope(linear_frequencies(scaling.plain, factor)), Context(context)


def _dynamic(scaling: _Scaling) -> tuple[Rope, Context]:
    reason = "from there on the frequencies of the positions would change with the length of the text"
    return Rope(scaling.plain), Context(scaling.context, reason)


def _llama3(scaling: _Scaling) -> tuple[Rope, Context]:
    frequencies = llama3_frequencies(
        scaling.plain,
        scaling.number("factor"),
        scaling.number("low_freq_factor"),
        scaling.number("high_freq_factor"),
        scaling.original_context,
    )
    return Rope(frequencies), Context(scaling.context)


def _yarn(scaling: _Scaling) -> tuple[Rope, Context]:
    original = scaling.original_context
    factor = scaling.number("factor", float, scaling.context / original)
    yarn = Yarn(
        factor,
        original,
        scaling.number("beta_fast", float, 32.0),
        scaling.number("beta_slow", float, 1.0),
        scaling.number("truncate", bool, True),
    )
    if scaling.has("attention_factor"):
        scale = scaling.number("attention_factor")
    elif scaling.parameters.get("mscale") and scaling.parameters.get("mscale_all_dim"):
        scale = yarn_scale(factor, scaling.number("mscale")) / yarn_scale(factor, scaling.number("mscale_all_dim"))
    else:
        scale = yarn_scale(factor)
    context = max(scaling.context, min(int(original * factor), scaling.length))
    return Rope(yarn_frequencies(scaling.base, scaling.head_width, yarn), scale), Context(context)


def _longrope(scaling: _Scaling) -> tuple[Rope, Context]:
    original = scaling.original_context
    factor = scaling.number("factor", float, scaling.context / original)
    scale = scaling.number("attention_factor", float, longrope_scale(factor, original))
    short = scaling.length <= original
    key = "short_factor" if short else "long_factor"
    factors = scaling.number(key, list)
    if len(factors) != scaling.head_width // 2 or not all(_is_positive(each) for each in factors):
        raise ExportError(
            f"{scaling.config.path}: rope_scaling's {key} is not a list of {scaling.head_width // 2} positive numbers"
        )
    rope = Rope([frequency / each for frequency, each in zip(scaling.plain, factors, strict=True)], scale)
    if not short:
        return rope, Context(scaling.context)
    return rope, Context(scaling.context).up_to(original, "longer texts have other frequencies: --max-length chooses")


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


_KINDS: Mapping[str, Callable[[_Scaling], tuple[Rope, Context]]] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
