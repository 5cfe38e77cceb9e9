"""A GGUF file as a source: what its metadata and tensor names mean."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from generator_export.architecture import LARGEST_HEAD, LARGEST_NUMBER, Architecture, Context, Rotation
from generator_export.checkpoint import Checkpoint, StoredTensor
from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile
from generator_export.gguf_rope import ROPE_TENSORS, rope_and_context
from generator_export.gguf_text import text_side
from generator_export.options import DEFAULT_LENGTH
from generator_export.source import Source

# The converter reorders the rows of queries and keys only for llama.
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
    "attn_output.bias": "output_bias",
    "ffn_norm.weight": "feed_forward_norm",
    "ffn_gate.weight": "gate",
    "ffn_up.weight": "up",
    "ffn_down.weight": "down",
    "ffn_gate.bias": "gate_bias",
    "ffn_up.bias": "up_bias",
    "ffn_down.bias": "down_bias",
}
LAYER = re.compile(r"blk\.(\d+)\.(.+)")
# Older files contain, for each layer, tensors that follow from the metadata.
COMPUTED = re.compile(r"blk\.\d+\.attn_rot_embd|rope_freqs|.*\.rotary_emb\.inv_freq")


def read_gguf(path: Path, max_length: int | None = None) -> Source:
    """`max_length` is the number of positions wanted."""
    file = GgufFile(path)
    kind = file.get("general.architecture", str)
    if kind not in ROTATIONS:
        raise ExportError(
            f"{path}: architecture {kind} is not supported; these are, and what is built like them:"
            f" {', '.join(ROTATIONS)}"
        )
    if file.get("general.type", str, "model") != "model":
        raise ExportError(f"{path}: is an {file.metadata['general.type']} and no model: merge it into its model first")
    architecture = _architecture(file, kind, max_length)
    tensors = {}
    for name, place in file.tensors.items():
        if name not in ROPE_TENSORS and not COMPUTED.fullmatch(name):
            read, groups = partial(file.tensor, name), partial(file.groups, name)
            tensors[_our_name(name)] = StoredTensor(name, place.shape, place.type.name, read, groups)
    name = file.get("general.name", str, path.stem)
    return Source(Checkpoint(path, name, architecture, tensors), text_side(file))


def _our_name(name: str) -> str:
    layer = LAYER.fullmatch(name)
    if layer and layer[2] in LAYER_NAMES:
        return f"layers.{layer[1]}.{LAYER_NAMES[layer[2]]}"
    return NAMES.get(name, name)


def _architecture(file: GgufFile, kind: str, max_length: int | None) -> Architecture:
    def number(key: str, default: int | None = None) -> int:
        value = file.metadata.get(f"{kind}.{key}")
        # Some files have a list with a number for each layer.
        if isinstance(value, list) and len(set(value)) == 1:
            value = value[0]
        elif isinstance(value, list):
            raise ExportError(f"{file.path}: {kind}.{key} differs from layer to layer: not supported")
        value = file.checked(f"{kind}.{key}", value, int, default)
        if not 0 < value <= (LARGEST_HEAD if key == "attention.key_length" else LARGEST_NUMBER):
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
    trained = number("context_length")
    length = max_length or min(trained, DEFAULT_LENGTH)
    rope, context = rope_and_context(file, kind, head_width, trained, length)
    return Architecture(
        layers=number("block_count"),
        width=width,
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        head_width=head_width,
        feed_forward_width=number("feed_forward_length"),
        vocabulary_size=file.tensors["token_embd.weight"].shape[0],
        context=_within_window(file, kind, context),
        norm_epsilon=file.get(f"{kind}.attention.layer_norm_rms_epsilon", float),
        rotation=ROTATIONS[kind],
        rope=rope,
    )


def _within_window(file: GgufFile, kind: str, context: Context) -> Context:
    window = file.get(f"{kind}.attention.sliding_window", int, 0)
    return context.up_to(window, f"attention is in a sliding window of {window}") if window > 0 else context
