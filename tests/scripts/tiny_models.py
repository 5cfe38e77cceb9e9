"""Small random models of each kind that can be exported, as safetensors folders and GGUF files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import numpy
import torch
from safetensors.torch import save_file

# Rows of the embedding; some more than there are tokens, as in models that fill it up to a round number.
VOCABULARY = 320
END = 2


@dataclass(frozen=True)
class TinyModel:
    """What is in a model's files, by Hugging Face's names."""

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def with_config(self, **changes: Any) -> TinyModel:
        return replace(self, config={**self.config, **changes})


def tiny_model(kind: str, **changes: Any) -> TinyModel:
    """`kind` is llama, qwen2 or qwen3; `changes` are to its configuration."""
    config = {
        "model_type": kind,
        "hidden_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "intermediate_size": 160,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1000.0,
        "tie_word_embeddings": kind == "llama",
        "bos_token_id": 1,
        "eos_token_id": END,
        # Where it need not follow from the width, it does not.
        **({"head_dim": 64} if kind == "qwen3" else {}),
        **changes,
    }
    return TinyModel(config, _tensors(config, kind))


def _tensors(config: dict[str, Any], kind: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)

    def random(*shape: int, scale: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * scale + mean

    def norm(width: int) -> torch.Tensor:
        return random(width, scale=0.2, mean=1)

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return random(rows, columns, scale=1.5 * columns**-0.5)

    width, inner = config["hidden_size"], config["intermediate_size"]
    head_width = config.get("head_dim", width // config["num_attention_heads"])
    q_width, kv_width = head_width * config["num_attention_heads"], head_width * config["num_key_value_heads"]
    vocabulary = config["vocab_size"]
    tensors = {"model.embed_tokens.weight": random(vocabulary, width, scale=0.2), "model.norm.weight": norm(width)}
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = matrix(vocabulary, width)
    for layer in range(config["num_hidden_layers"]):
        parts = {
            "input_layernorm.weight": norm(width),
            "post_attention_layernorm.weight": norm(width),
            "self_attn.q_proj.weight": matrix(q_width, width),
            "self_attn.k_proj.weight": matrix(kv_width, width),
            "self_attn.v_proj.weight": matrix(kv_width, width),
            "self_attn.o_proj.weight": matrix(width, q_width),
            "mlp.gate_proj.weight": matrix(inner, width),
            "mlp.up_proj.weight": matrix(inner, width),
            "mlp.down_proj.weight": matrix(width, inner),
        }
        if kind == "qwen2":
            parts |= {
                f"self_attn.{name}_proj.bias": random(len(parts[f"self_attn.{name}_proj.weight"])) for name in "qkv"
            }
        if kind == "qwen3":
            parts |= {f"self_attn.{name}_norm.weight": norm(head_width) for name in "qk"}
        tensors |= {f"model.layers.{layer}.{name}": tensor for name, tensor in parts.items()}
    return tensors


def write_safetensors(folder: Path, model: TinyModel, dtype: torch.dtype = torch.float32) -> Path:
    """In two files, as large models are; with the tokenizer of tiny_tokenizer_json()."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(model.tensors)
    for number, some in enumerate((names[::2], names[1::2]), 1):
        tensors = {name: model.tensors[name].to(dtype).contiguous() for name in some}
        save_file(tensors, folder / f"model-0000{number}-of-00002.safetensors")
    (folder / "config.json").write_text(json.dumps(model.config))
    (folder / "tokenizer.json").write_text(json.dumps(tiny_tokenizer_json()))
    settings = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": CHAT_TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message.role }}: {{ message.content | trim }}\n{% endfor %}"
)


def tiny_tokens() -> list[str]:
    """Three special tokens, one for each byte, as byte-level tokenizers write them, and a few merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printable)
    alphabet = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [
        "<unk>",
        "<s>",
        "</s>",
        *(alphabet[byte] for byte in range(256)),
        *("".join(pair) for pair in tiny_merges()),
    ]


def tiny_merges() -> list[tuple[str, str]]:
    return [("t", "h"), ("th", "e"), ("Ġ", "the"), ("1", "2"), ("12", "3"), ("a", "n"), ("Ġ", "an")]


def tiny_tokenizer_json() -> dict[str, Any]:
    special = [{"id": i, "content": token, "special": True} for i, token in enumerate(tiny_tokens()[:3])]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "added_tokens": [{**token, **flags} for token in special],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tiny_tokens())},
            "merges": [list(pair) for pair in tiny_merges()],
        },
    }


_GGUF_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.q_proj.bias": "attn_q.bias",
    "self_attn.k_proj.bias": "attn_k.bias",
    "self_attn.v_proj.bias": "attn_v.bias",
    "self_attn.q_norm.weight": "attn_q_norm.weight",
    "self_attn.k_norm.weight": "attn_k_norm.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.o_proj.bias": "attn_output.bias",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
    "mlp.gate_proj.bias": "ffn_gate.bias",
    "mlp.up_proj.bias": "ffn_up.bias",
    "mlp.down_proj.bias": "ffn_down.bias",
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def gguf_name(name: str) -> str:
    if not name.startswith("model.layers."):
        return _GGUF_NAMES[name]
    layer, part = name.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{_GGUF_NAMES[part]}"


@dataclass(frozen=True)
class TinyVocabulary:
    """What is in a GGUF file for a tokenizer."""

    model: str = "gpt2"
    pre: str = "gpt-2"
    tokens: Sequence[str] = field(default_factory=tiny_tokens)
    types: Sequence[int] = field(default_factory=lambda: [3] * 3 + [1] * (len(tiny_tokens()) - 3))
    merges: Sequence[str] = field(default_factory=lambda: [" ".join(pair) for pair in tiny_merges()])
    scores: Sequence[float] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)


def write_gguf(
    path: Path,
    model: TinyModel,
    matrices: str = "F32",
    vocabulary: TinyVocabulary = TinyVocabulary(),
    metadata: Mapping[str, bool | str | int | float | list[int]] | None = None,
    others: Mapping[str, str] | None = None,
    chat_template: str = CHAT_TEMPLATE,
    further: Mapping[str, numpy.ndarray] | None = None,
) -> Path:
    """As llama.cpp's converter and quantiser do. `matrices` names their type, `others` that of those with certain words
    in their names; `metadata` and the tensors `further` go in beside the rest."""
    config, kind = model.config, model.config["model_type"]
    writer = gguf.GGUFWriter(path, kind)
    writer.add_name("Tiny")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    _add_vocabulary(writer, vocabulary)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_chat_template(chat_template)
    add: dict[type, Callable[[str, Any], None]] = {
        bool: writer.add_bool,
        str: writer.add_string,
        int: writer.add_uint32,
        float: writer.add_float32,
    }
    for key, value in (metadata or {}).items():
        add.get(type(value), writer.add_array)(key, value)  # type: ignore[no-untyped-call]
    for name, tensor in model.tensors.items():
        values = _as_llama_cpp_orders(name, tensor, config).numpy()
        if values.ndim == 1:
            writer.add_tensor(gguf_name(name), values)
        else:
            kind = next((other for word, other in (others or {}).items() if word in name), matrices)
            raw = random_blocks(values, kind) if kind in _SCALES_AT else quantised(values, kind)
            writer.add_tensor(gguf_name(name), raw, raw_dtype=gguf.GGMLQuantizationType[kind])
    for name, values in (further or {}).items():
        writer.add_tensor(name, values)
    return write_and_close(writer, path)


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: TinyVocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    else:
        writer.add_token_merges(vocabulary.merges)
    for name, value in vocabulary.flags.items():
        writer.add_bool(f"tokenizer.ggml.{name}", value)


def write_and_close(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _as_llama_cpp_orders(name: str, tensor: torch.Tensor, config: dict[str, Any]) -> torch.Tensor:
    """The converter puts the halves of each of llama's query and key heads into turns."""
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    for part, count in heads.items():
        if config["model_type"] == "llama" and part in name:
            rows = tensor.view(config[count], 2, -1, *tensor.shape[1:])
            return rows.transpose(1, 2).reshape(tensor.shape).contiguous()
    return tensor


def quantised(values: numpy.ndarray, kind: str) -> numpy.ndarray:
    """`values` as `kind`, by llama.cpp's own library."""
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])


def dequantised(raw: numpy.ndarray, kind: str) -> numpy.ndarray:
    return gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])


# Where in a block of a type that the library only reads the scales in half precision are.
_SCALES_AT = {
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ2_XXS": (0,),
    "IQ3_S": (0,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
    "TQ1_0": (52,),
    "TQ2_0": (64,),
}


def random_blocks(values: numpy.ndarray, kind: str) -> numpy.ndarray:
    """Blocks of these types with values of the same shape and size, but not the same."""
    block_values, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    rows, columns = values.shape
    shape = (rows, columns // block_values, block_bytes)
    raw = numpy.random.default_rng(rows * columns).integers(0, 256, shape, dtype=numpy.uint8)

    def with_scale(scale: float) -> numpy.ndarray:
        for first, part in zip(_SCALES_AT[kind], (1, 8), strict=False):
            # The minima's scale is such that values are about as often negative as positive.
            half = numpy.float16(scale * part if len(_SCALES_AT[kind]) == 2 else scale)
            raw[..., first : first + 2] = numpy.frombuffer(half.tobytes(), numpy.uint8)
        return raw.reshape(rows, -1)

    return with_scale(values.std() / dequantised(with_scale(1 / 64), kind).std() / 64).copy()
