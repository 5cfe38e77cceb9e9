"""What a GGUF file says about positions: how they are rotated, and how many there are."""

from __future__ import annotations

from generator_export.architecture import Context
from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile
from generator_export.rope import Rope, Yarn, linear_frequencies, rope_frequencies, yarn_frequencies, yarn_scale

# These divide the frequencies. Llama 3's scaling is stored as the first, LongRoPE's as the others.
FACTORS, LONG_FACTORS, SHORT_FACTORS = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"
ROPE_TENSORS = (FACTORS, LONG_FACTORS, SHORT_FACTORS)
SCALINGS = ("none", "linear", "yarn", "longrope")


def rope_and_context(file: GgufFile, kind: str, head_width: int, trained: int, length: int) -> tuple[Rope, Context]:
    """`length` is the number of positions wanted: some scalings depend on it."""

    def number(key: str, default: float) -> float:
        value = file.get(f"{kind}.rope.{key}", float, default)
        if value <= 0:
            raise ExportError(f"{file.path}: {kind}.rope.{key} is {value}")
        return value

    base = number("freq_base", 10000.0)
    if base <= 1:
        raise ExportError(f"{file.path}: {kind}.rope.freq_base is {base}")
    # Without a type, a factor is a linear one. So it is in older files, which have it under another name.
    scaling = file.get(f"{kind}.rope.scaling.type", str, "linear")
    if scaling not in SCALINGS:
        known = ", ".join(SCALINGS)
        raise ExportError(f"{file.path}: rope scaling {scaling} is not supported; these are: {known}")
    if FACTORS in file.tensors and not {LONG_FACTORS, SHORT_FACTORS}.isdisjoint(file.tensors):
        # llama.cpp reads one kind or the other, by the scaling's type, and refuses a file that has more.
        raise ExportError(f"{file.path}: has both {FACTORS} and factors of LongRoPE: which of them count is not known")
    plain, context = rope_frequencies(base, head_width), Context(trained)
    factor, original = _factor(file, kind), int(number("scaling.original_context_length", trained))
    scale = number("scaling.attn_factor", 1.0)
    if scaling == "yarn":
        yarn = Yarn(factor, original, number("scaling.yarn_beta_fast", 32.0), number("scaling.yarn_beta_slow", 1.0))
        if file.get(f"{kind}.rope.scaling.yarn_ext_factor", float, 1.0) not in (1.0, -1.0):
            raise ExportError(f"{file.path}: {kind}.rope.scaling.yarn_ext_factor is not supported")
        scale *= number("scaling.yarn_attn_factor", 1.0) * yarn_scale(factor)
        plain = yarn_frequencies(base, head_width, yarn)
    elif scaling != "none":
        # LongRoPE has its own factors beside this one, which its files usually leave out.
        plain = linear_frequencies(plain, factor)
    if factor != 1 and scaling in ("linear", "yarn"):
        context = Context(max(trained, min(int(original * factor), length)))
    for name in [FACTORS] if FACTORS in file.tensors else _longrope_factors(file, original, length):
        plain = _divided(file, plain, name)
    if SHORT_FACTORS in file.tensors and length <= original:
        context = context.up_to(original, "longer texts have other frequencies: --max-length chooses")
    return Rope(plain, scale), context


def _factor(file: GgufFile, kind: str) -> float:
    """The factor by which positions are stretched. Some files use 0 to say that they are not."""
    key = f"{kind}.rope.scaling.factor"
    if key not in file.metadata:
        key = f"{kind}.rope.scale_linear"
    factor = file.get(key, float, 0.0)
    if factor < 0:
        raise ExportError(f"{file.path}: {key} is {factor}")
    return factor or 1.0


def _longrope_factors(file: GgufFile, original: int, length: int) -> list[str]:
    if LONG_FACTORS not in file.tensors or SHORT_FACTORS not in file.tensors:
        return []
    return [SHORT_FACTORS if length <= original else LONG_FACTORS]


def _divided(file: GgufFile, frequencies: list[float], name: str) -> list[float]:
    factors = file.tensor(name).reshape(-1).tolist()
    if len(factors) != len(frequencies) or not min(factors) > 0:
        raise ExportError(f"{file.path}: tensor {name} does not hold {len(frequencies)} positive factors")
    return [frequency / factor for frequency, factor in zip(frequencies, factors, strict=True)]
