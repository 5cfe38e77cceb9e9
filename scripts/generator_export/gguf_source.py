"""A GGUF file as a source: which metadata and tensor names mean what."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from generator_export.architecture import Architecture, Rotation, rope_frequencies
from generator_export.bpe_tokenizer import tokenizer_json
from generator_export.checkpoint import Checkpoint, StoredTensor
from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile
from generator_export.sentencepiece_model import sentencepiece_model
from generator_export.source import Source, TextSide

# The converter reorders the rows of llama's queries and keys, and of no other's.
ROTATIONS = {"llama": Rotation.ADJACENT_PAIRS, "qwen2": Rotation.HALVES, "qwen3": Rotation.HALVES}

NAMES = {"token_embd.weight": "embedding", "output_norm.weight": "norm", "output.weight": "head"}
LAYER_NAMES = {
    "attn_norm.weight": "attention_norm",
    "attn_q.weight": "q",
    "attn_k.weight": "k",
    "attn_v.weight": "v",
    "attn_q.bias": "q_bias",
    "attn_k.bias": "k_bias",
    "attn_v.bias": "v_bias",
    "attn_q_norm.weight": "q_norm",
    "attn_k_norm.weight": "k_norm",
    "attn_output.weight": "output",
    "ffn_norm.weight": "feed_forward_norm",
    "ffn_gate.weight": "gate",
    "ffn_up.weight": "up",
    "ffn_down.weight": "down",
}
# Divides the rope frequencies: how Llama 3's scaling is stored.
ROPE_FACTORS = "rope_freqs.weight"
LAYER = re.compile(r"blk\.(\d+)\.(.+)")

# Of models whose padding, end of turn and end of message are tokens of their own.
END_TOKENS = ("eos", "eot", "eom")


def read_gguf(path: Path) -> Source:
    file = GgufFile(path)
    kind = file.get("general.architecture", str)
    if kind not in ROTATIONS:
        raise ExportError(f"{path}: architecture {kind} is not supported; these are: {', '.join(ROTATIONS)}")
    architecture = _architecture(file, kind)
    tensors = {}
    for name, place in file.tensors.items():
        if name != ROPE_FACTORS:
            read, groups = partial(file.tensor, name), partial(file.groups, name)
            tensors[_our_name(name)] = StoredTensor(name, place.shape, place.type.name, read, groups)
    name = file.get("general.name", str, path.stem)
    return Source(Checkpoint(path, name, architecture, tensors), _text_side(file))


def _our_name(name: str) -> str:
    layer = LAYER.fullmatch(name)
    if layer and layer[2] in LAYER_NAMES:
        return f"layers.{layer[1]}.{LAYER_NAMES[layer[2]]}"
    return NAMES.get(name, name)


def _architecture(file: GgufFile, kind: str) -> Architecture:
    def number(key: str, default: int | None = None) -> int:
        value = file.get(f"{kind}.{key}", int, default)
        if value <= 0:
            raise ExportError(f"{file.path}: {kind}.{key} is {value}")
        return value

    width, heads = number("embedding_length"), number("attention.head_count")
    head_width = number("attention.key_length", width // heads)
    for key in ("attention.value_length", "rope.dimension_count"):
        if number(key, head_width) != head_width:
            raise ExportError(f"{file.path}: {kind}.{key} is not the width of a head, {head_width}: not supported")
    if file.get(f"{kind}.expert_count", int, 0):
        raise ExportError(f"{file.path}: mixtures of experts are not supported")
    if "token_embd.weight" not in file.tensors:
        raise ExportError(f"{file.path}: there is no tensor token_embd.weight")
    return Architecture(
        layers=number("block_count"),
        width=width,
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        head_width=head_width,
        feed_forward_width=number("feed_forward_length"),
        vocabulary_size=file.tensors["token_embd.weight"].shape[0],
        context_length=number("context_length"),
        norm_epsilon=file.get(f"{kind}.attention.layer_norm_rms_epsilon", float),
        rotation=ROTATIONS[kind],
        frequencies=_frequencies(file, kind, head_width),
    )


def _frequencies(file: GgufFile, kind: str, head_width: int) -> list[float]:
    scaling = file.get(f"{kind}.rope.scaling.type", str, "none")
    if scaling != "none":
        raise ExportError(f"{file.path}: rope scaling {scaling} is not supported")
    if f"{kind}.rope.scale_linear" in file.metadata:
        raise ExportError(f"{file.path}: linear rope scaling is not supported")
    frequencies = rope_frequencies(file.get(f"{kind}.rope.freq_base", float, 10000.0), head_width)
    if ROPE_FACTORS not in file.tensors:
        return frequencies
    factors = file.tensor(ROPE_FACTORS).tolist()
    if len(factors) != len(frequencies) or min(factors) <= 0:
        raise ExportError(f"{file.path}: tensor {ROPE_FACTORS} does not hold {len(frequencies)} positive factors")
    return [frequency / factor for frequency, factor in zip(frequencies, factors)]


def _text_side(file: GgufFile) -> TextSide:
    model = file.get("tokenizer.ggml.model", str)
    tokens = file.get("tokenizer.ggml.tokens", list)
    if model == "gpt2":
        files = {"tokenizer.json": tokenizer_json(file)}
    elif model == "llama":
        files = {"tokenizer.model": sentencepiece_model(file)}
    else:
        raise ExportError(f"{file.path}: tokenizer {model} is not supported; gpt2 and llama are")
    ids = {}
    for name in ("bos", *END_TOKENS):
        token_id = file.get(f"tokenizer.ggml.{name}_token_id", int, -1)
        if token_id >= len(tokens):
            raise ExportError(f"{file.path}: {name} is token {token_id} of {len(tokens)}")
        if token_id >= 0:
            ids[name] = token_id
    # What llama.cpp does where the file does not say it.
    add_bos = file.get("tokenizer.ggml.add_bos_token", bool, model == "llama")
    return TextSide(
        files=files,
        chat_template=file.metadata.get("tokenizer.chat_template"),
        bos_token=tokens[ids["bos"]] if "bos" in ids else "",
        eos_token=tokens[ids["eos"]] if "eos" in ids else "",
        leading_token_id=ids.get("bos") if add_bos else None,
        end_token_ids=sorted({ids[name] for name in END_TOKENS if name in ids}),
    )
