"""A Hugging Face folder as a source: config.json, the weights, and what belongs to the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy

from generator_export.architecture import LARGEST_HEAD, LARGEST_NUMBER, Architecture, Rotation
from generator_export.checkpoint import Checkpoint, StoredTensor
from generator_export.errors import ExportError
from generator_export.huggingface_rope import rope_and_context
from generator_export.huggingface_text import huggingface_text
from generator_export.huggingface_weights import stored_tensors
from generator_export.json_document import JsonDocument
from generator_export.source import Source

# With the number of positions that their configurations have by default.
MODEL_TYPES = {"llama": 2048, "mistral": 131072, "qwen2": 32768, "qwen3": 32768}
DEFAULT_EPSILON = 1e-6

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
    "self_attn.o_proj.bias": "output_bias",
    "post_attention_layernorm.weight": "feed_forward_norm",
    "mlp.gate_proj.weight": "gate",
    "mlp.up_proj.weight": "up",
    "mlp.down_proj.weight": "down",
    "mlp.gate_proj.bias": "gate_bias",
    "mlp.up_proj.bias": "up_bias",
    "mlp.down_proj.bias": "down_bias",
}
LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
ACTIVATIONS = ("silu", "swish")


def read_huggingface(folder: Path, max_length: int | None = None) -> Source:
    """`max_length` is the number of positions wanted."""
    if not (folder / "config.json").exists():
        _refuse_without_config(folder)
    config = JsonDocument(folder / "config.json")
    _check_supported(config)
    tensors: dict[str, StoredTensor] = {}
    for tensor in stored_tensors(folder):
        # A folder may contain a model with its head and one without it.
        twin = tensors.setdefault(_our_name(tensor.name), tensor)
        if twin is not tensor:
            raise ExportError(f"{folder}: tensors {twin.name} and {tensor.name} are the same part of a model")
    architecture = _architecture(config, tensors, max_length)
    notes = []
    if config.get("tie_word_embeddings", bool, False):
        # Some files contain the embedding a second time, and some have a head although their configuration denies it.
        if "head" in tensors and _same(tensors["head"], tensors.get("embedding")):
            del tensors["head"]
        elif "head" in tensors:
            notes.append("config.json ties the head to the embedding, and there is another head: used that")
    elif "head" not in tensors:
        raise ExportError(
            f"{folder}: there is no tensor lm_head.weight, and config.json does not tie it to the embedding"
        )
    checkpoint = Checkpoint(folder, folder.resolve().name, architecture, tensors)
    text = huggingface_text(folder, config, architecture.vocabulary_size)
    return Source(checkpoint, replace(text, notes=[*notes, *text.notes]))


def _same(one: StoredTensor, other: StoredTensor | None) -> bool:
    return other is not None and one.shape == other.shape and numpy.array_equal(one.read(), other.read())


def _refuse_without_config(folder: Path) -> None:
    if (folder / "adapter_config.json").exists():
        raise ExportError(
            f"{folder}: is an adapter (LoRA) and no model: merge it into its model with peft's merge_and_unload, and"
            " save that"
        )
    files = sorted(folder.glob("*.gguf"))
    if files:
        raise ExportError(f"{folder}: has no config.json, but GGUF files: export one of them, as {files[0]}")


def _our_name(name: str) -> str:
    # The model was saved without its head.
    if name.startswith(("layers.", "embed_tokens.", "norm.")):
        name = f"model.{name}"
    layer = LAYER.fullmatch(name)
    if layer and layer[2] in LAYER_NAMES:
        return f"layers.{layer[1]}.{LAYER_NAMES[layer[2]]}"
    return NAMES.get(name, name)


def _architecture(config: JsonDocument, tensors: Mapping[str, StoredTensor], max_length: int | None) -> Architecture:
    def number(key: str, default: int | None = None) -> int:
        value = config.get(key, int, default)
        if not 0 < value <= (LARGEST_HEAD if key == "head_dim" else LARGEST_NUMBER):
            raise ExportError(f"{config.path}: {key} is {value}")
        return value

    width, heads = number("hidden_size"), number("num_attention_heads")
    # Missing values follow from the weights, except that if the number of key heads is null, there are as many as
    # heads.
    head_width = number("head_dim", _rows(tensors, "q") // heads or width // heads)
    kv_heads = heads if "num_key_value_heads" in config.values else _rows(tensors, "k") // head_width or heads
    rope, context = rope_and_context(config, head_width, MODEL_TYPES[config.get("model_type", str)], max_length)
    return Architecture(
        layers=number("num_hidden_layers"),
        width=width,
        heads=heads,
        kv_heads=number("num_key_value_heads", kv_heads),
        head_width=head_width,
        feed_forward_width=number("intermediate_size"),
        vocabulary_size=number("vocab_size"),
        context=context,
        norm_epsilon=config.get("rms_norm_eps", float, DEFAULT_EPSILON),
        rotation=Rotation.HALVES,
        rope=rope,
    )


def _rows(tensors: Mapping[str, StoredTensor], part: str) -> int:
    """The number of rows of this matrix in the first layer; 0 if there is none."""
    stored = tensors.get(f"layers.0.{part}")
    return stored.shape[0] if stored and stored.shape else 0


def _check_supported(config: JsonDocument) -> None:
    kind = config.get("model_type", str)
    if kind not in MODEL_TYPES:
        raise ExportError(f"{config.path}: model type {kind} is not supported; these are: {', '.join(MODEL_TYPES)}")
    activation = config.get("hidden_act", str, "silu")
    if activation not in ACTIVATIONS:
        raise ExportError(f"{config.path}: activation {activation} is not supported; silu is")
    quantization = config.values.get("quantization_config")
    if quantization is not None:
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise ExportError(
            f"{config.path}: weights quantised by {method or 'an unnamed method'} are not supported in safetensors:"
            " export the model that they were made of (--weights q4 or q8 makes it small), or a GGUF file"
        )
