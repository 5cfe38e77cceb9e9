"""A Hugging Face folder as a source: config.json, *.safetensors, and what goes with the text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from safetensors import SafetensorError, safe_open

from generator_export.architecture import Architecture, Rotation, llama3_frequencies, rope_frequencies
from generator_export.checkpoint import Checkpoint, StoredTensor
from generator_export.errors import ExportError
from generator_export.huggingface_text import huggingface_text
from generator_export.json_document import JsonDocument, checked
from generator_export.source import Source

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
# Of the tensors, as the files name them.
DTYPES = ("F32", "F16", "BF16")

NAMES = {"model.embed_tokens.weight": "embedding", "model.norm.weight": "norm", "lm_head.weight": "head"}
LAYER_NAMES = {
    "input_layernorm.weight": "attention_norm",
    "self_attn.q_proj.weight": "q",
    "self_attn.k_proj.weight": "k",
    "self_attn.v_proj.weight": "v",
    "self_attn.q_proj.bias": "q_bias",
    "self_attn.k_proj.bias": "k_bias",
    "self_attn.v_proj.bias": "v_bias",
    "self_attn.q_norm.weight": "q_norm",
    "self_attn.k_norm.weight": "k_norm",
    "self_attn.o_proj.weight": "output",
    "post_attention_layernorm.weight": "feed_forward_norm",
    "mlp.gate_proj.weight": "gate",
    "mlp.up_proj.weight": "up",
    "mlp.down_proj.weight": "down",
}
LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
# Follows from the configuration; older files hold it for each layer.
COMPUTED = "rotary_emb.inv_freq"


def read_huggingface(folder: Path) -> Source:
    config = JsonDocument(folder / "config.json")
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ExportError(f"{folder}: there are no .safetensors files")
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        tensors.update((_our_name(tensor.name), tensor) for tensor in _tensors(file))
    architecture = _architecture(config)
    # Some files hold the embedding a second time.
    if config.get("tie_word_embeddings", bool, False):
        tensors.pop("head", None)
    elif "head" not in tensors:
        raise ExportError(
            f"{folder}: there is no tensor lm_head.weight, and config.json does not tie it to the embedding"
        )
    return Source(Checkpoint(folder, folder.resolve().name, architecture, tensors), huggingface_text(folder, config))


def _tensors(file: Path) -> Iterable[StoredTensor]:
    try:
        with safe_open(file, framework="numpy") as opened:
            for name in opened.keys():
                if name.endswith(COMPUTED):
                    continue
                view = opened.get_slice(name)
                dtype = view.get_dtype()
                if dtype not in DTYPES:
                    known = ", ".join(DTYPES)
                    raise ExportError(f"{file}: tensor {name} is {dtype}, which is not supported; these are: {known}")
                yield StoredTensor(name, tuple(view.get_shape()), dtype, partial(_read, file, name), lambda: None)
    except (OSError, SafetensorError) as error:
        raise ExportError(f"{file}: {error}") from None


def _read(file: Path, name: str) -> numpy.ndarray:
    # Through PyTorch, because numpy has no bfloat16.
    with safe_open(file, framework="pt") as opened:
        return opened.get_tensor(name).float().numpy()


def _our_name(name: str) -> str:
    layer = LAYER.fullmatch(name)
    if layer and layer[2] in LAYER_NAMES:
        return f"layers.{layer[1]}.{LAYER_NAMES[layer[2]]}"
    return NAMES.get(name, name)


def _architecture(config: JsonDocument) -> Architecture:
    def number(key: str, default: int | None = None) -> int:
        value = config.get(key, int, default)
        if value <= 0:
            raise ExportError(f"{config.path}: {key} is {value}")
        return value

    _check_supported(config)
    width, heads = number("hidden_size"), number("num_attention_heads")
    head_width = number("head_dim", width // heads)
    return Architecture(
        layers=number("num_hidden_layers"),
        width=width,
        heads=heads,
        kv_heads=number("num_key_value_heads", heads),
        head_width=head_width,
        feed_forward_width=number("intermediate_size"),
        vocabulary_size=number("vocab_size"),
        context_length=number("max_position_embeddings"),
        norm_epsilon=config.get("rms_norm_eps", float),
        rotation=Rotation.HALVES,
        frequencies=_frequencies(config, head_width),
    )


def _check_supported(config: JsonDocument) -> None:
    kind = config.get("model_type", str)
    if kind not in MODEL_TYPES:
        raise ExportError(f"{config.path}: model type {kind} is not supported; these are: {', '.join(MODEL_TYPES)}")
    activation = config.get("hidden_act", str, "silu")
    if activation != "silu":
        raise ExportError(f"{config.path}: activation {activation} is not supported; silu is")
    if "quantization_config" in config.values:
        raise ExportError(f"{config.path}: quantised weights are not supported in safetensors")
    # Qwen2 names a window that it does not use.
    if config.values.get("sliding_window") and config.get("use_sliding_window", bool, kind == "mistral"):
        raise ExportError(f"{config.path}: attention in a sliding window is not supported")


def _frequencies(config: JsonDocument, head_width: int) -> list[float]:
    # Newer files have one object, older ones two keys.
    parameters = config.get("rope_parameters", dict, {}) or config.get("rope_scaling", dict, {})

    def parameter(key: str) -> Any:
        return checked(config.path, f"rope_scaling's {key}", parameters.get(key), float)

    base = parameters.get("rope_theta") or config.get("rope_theta", float, 10000.0)
    frequencies = rope_frequencies(float(base), head_width)
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    if kind == "default":
        return frequencies
    if kind != "llama3":
        raise ExportError(f"{config.path}: rope scaling {kind} is not supported; llama3 is")
    return llama3_frequencies(
        frequencies,
        parameter("factor"),
        parameter("low_freq_factor"),
        parameter("high_freq_factor"),
        parameter("original_max_position_embeddings"),
    )
