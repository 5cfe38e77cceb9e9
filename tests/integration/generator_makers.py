"""Tiny models of the kinds that people have: Hugging Face folders and GGUF files that say in other ways how texts begin
and end, how positions are turned, and where the weights are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file

from tiny_models import (
    TinyModel,
    TinyVocabulary,
    tiny_merges,
    tiny_model,
    tiny_tokenizer_json,
    tiny_tokens,
    write_gguf,
)

# <unk>, <s>, </s>, the bytes and the merges; then these, and room up to the size of the vocabulary.
MARKS = ["<|im_start|>", "<|im_end|>", "<tool>"]
VOCABULARY = 288
FIRST_MARK = len(tiny_tokens())
CHAT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 64,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
}
END = 2


@dataclass(frozen=True)
class Kind:
    """A source, and what of it transformers reads otherwise, does not read, or cannot be asked."""

    make: Callable[[Path], Path]
    # A folder with the same weights, if transformers does not read the source as it is meant.
    same_as: Callable[[Path], Path] | None = None
    # The tokens of a text, if that is not for transformers to say.
    encode: Callable[[str], list[int]] | None = None
    # Tokens that end an answer, by their texts or ids, beside </s>.
    ends: tuple[str | int, ...] = ("<|im_end|>",)
    # Whether the likeliest tokens are chosen if a request does not say how.
    greedy: bool = False
    # Whether it puts chats into words.
    chats: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    # Of what the exporter says on the way.
    notes: tuple[str, ...] = ()


def small(kind: str = "llama", **changes: Any) -> TinyModel:
    """With weights that half precision holds."""
    model = tiny_model(kind, **{**SMALL, **changes})
    head_width = model.config.get("head_dim", 32)
    generator = torch.Generator().manual_seed(3)
    for layer in range(model.config["num_hidden_layers"]):
        widths = {"mlp.gate_proj": 64, "mlp.up_proj": 64, "mlp.down_proj": 64} if changes.get("mlp_bias") else {}
        if changes.get("attention_bias"):
            widths |= {
                "self_attn.q_proj": 2 * head_width,
                "self_attn.k_proj": head_width,
                "self_attn.v_proj": head_width,
            }
            widths |= {"self_attn.o_proj": 64}
        for name, width in widths.items():
            model.tensors[f"model.layers.{layer}.{name}.bias"] = torch.randn(width, generator=generator) * 0.3
    return TinyModel(model.config, {name: tensor.half().float() for name, tensor in model.tensors.items()})


def tokenizer_file(marks: bool = True, **changes: Any) -> dict[str, Any]:
    """Byte-level BPE; without a post-processor unless `changes` have one."""
    file = tiny_tokenizer_json() | {"post_processor": None} | changes
    if marks:
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        added = [{"id": FIRST_MARK + i, "content": mark, "special": i < 2, **flags} for i, mark in enumerate(MARKS)]
        file["added_tokens"] = file["added_tokens"] + added
    return file


LEADING = tiny_tokenizer_json()["post_processor"]


def folder(
    model: TinyModel | None = None,
    tokenizer: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    files: Mapping[str, Any] | None = None,
    save: Callable[[Path, dict[str, torch.Tensor]], None] | None = None,
) -> Callable[[Path], Path]:
    """`settings` are those of tokenizer_config.json, `files` what else there is: JSON, text or bytes; None: no file."""

    def make(path: Path) -> Path:
        path.mkdir(parents=True)
        tiny = model or small()
        tensors = {name: tensor.contiguous() for name, tensor in tiny.tensors.items()}
        (save or (lambda path, tensors: save_file(tensors, path / "model.safetensors")))(path, tensors)
        contents = {
            "config.json": tiny.config | {"architectures": [ARCHITECTURES[tiny.config["model_type"]]]},
            "tokenizer.json": tokenizer or tokenizer_file(),
            "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
            | (settings or {}),
            **(files or {}),
        }
        for name, content in contents.items():
            if content is not None:
                text = content if isinstance(content, str | bytes) else json.dumps(content)
                (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}


def in_shards(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """With an index, and another layout of the model beside it."""
    names = sorted(tensors)
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in sorted(set(places.values())):
        save_file({name: tensors[name] for name in names if places[name] == file}, path / file)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    save_file({"layers.0.attention.wq.weight": torch.rand(4, 4)}, path / "consolidated.safetensors")


def as_pickles(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    torch.save(tensors, path / "pytorch_model.bin")
    torch.save({"lr": 0.1}, path / "training_args.bin")


def half_tied(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """The head is there although the configuration ties it to the embedding."""
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file({name: tensor.half() for name, tensor in tensors.items()}, path / "model.safetensors")


def another_head(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].flip(0).contiguous()
    save_file(tensors, path / "model.safetensors")


def headless(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """As a model is saved that is not one of language, but what is below it."""
    save_file({name.removeprefix("model."): tensor for name, tensor in tensors.items()}, path / "model.safetensors")


def scaled(model_type: str = "llama", **scaling: Any) -> Callable[[Path], Path]:
    return folder(small(model_type, rope_scaling=scaling))


# --- SentencePiece ---


def trained_sentencepiece(**options: Any) -> bytes:
    """A model of SentencePiece as Llama's, but for its size."""
    model = BytesIO()
    lines = ["the user says hello to the assistant", "a start and an end", "im going home <|>_ 123"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=285,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    return model.getvalue()


SENTENCEPIECE = trained_sentencepiece()
# With a piece of its own that is found in any text. It is as large.
SENTENCEPIECE_WITH_MARK = trained_sentencepiece(user_defined_symbols=["<mark>"])
PIECES = sentencepiece.SentencePieceProcessor(model_proto=SENTENCEPIECE)
ADDED = {"<|im_end|>": PIECES.vocab_size(), "<|im_start|>": PIECES.vocab_size() + 1}


def saved_sentencepiece(legacy: bool) -> Callable[[Path], Path]:
    """As transformers saves such tokenizers: today's, or those of the time of Llama 2."""

    def make(path: Path) -> Path:
        from transformers import AutoTokenizer

        settings = {
            "tokenizer_class": "LlamaTokenizer",
            "bos_token": "<s>",
            "add_bos_token": True,
            "unk_token": "<unk>",
        }
        files = {"tokenizer.json": None, "tokenizer.model": SENTENCEPIECE}
        tokenizer = AutoTokenizer.from_pretrained(folder(settings=settings, files=files)(path / "slow"))
        tokenizer.save_pretrained(path / "saved")
        content = json.loads((path / "saved" / "tokenizer.json").read_text())
        if legacy:
            steps = [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]
            content |= {"normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None}
        settings = json.loads((path / "saved" / "tokenizer_config.json").read_text())
        if legacy:
            settings |= {"tokenizer_class": "PreTrainedTokenizerFast"}
        return folder(tokenizer=content, settings=settings)(path / "source")

    return make


def pieces_of(text: str, leading: bool = True) -> list[int]:
    return [1] * leading + PIECES.encode(text)


def sentencepiece_gguf(
    metadata: Mapping[str, Any] | None = None, added: tuple[int, int] = (3, 4), **flags: bool
) -> Callable[[Path], Path]:
    """`added` are the types of the added tokens."""

    def make(path: Path) -> Path:
        count = PIECES.vocab_size()
        kinds = [
            2 if PIECES.is_unknown(i) else 3 if PIECES.is_control(i) else 6 if PIECES.is_byte(i) else 1
            for i in range(count)
        ]
        vocabulary = TinyVocabulary(
            "llama",
            pre="default",
            tokens=[PIECES.id_to_piece(i) for i in range(count)] + list(ADDED),
            types=[*kinds, *added],
            scores=[PIECES.get_score(i) for i in range(count)] + [-1000.0] * 2,
            flags=flags,
        )
        return write_gguf(path.with_suffix(".gguf"), small(), "F16", vocabulary, metadata)

    return make


# --- GGUF ---


def gguf(
    model: TinyModel | None = None,
    metadata: Mapping[str, Any] | None = None,
    types: tuple[int, int, int] = (3, 3, 4),
    **vocabulary: Any,
) -> Callable[[Path], Path]:
    """`types` are those of the marks."""

    def make(path: Path) -> Path:
        tokens = [*tiny_tokens(), *MARKS]
        kinds = [3] * 3 + [1] * (len(tiny_tokens()) - 3) + list(types)
        made = TinyVocabulary(
            tokens=tokens, types=kinds, merges=[" ".join(each) for each in tiny_merges()], **vocabulary
        )
        return write_gguf(path.with_suffix(".gguf"), model or small(), "F16", made, metadata, chat_template=CHAT)

    return make


def split_gguf(path: Path) -> Path:
    """In two files, as llama.cpp's tool for that does: of which any may be named."""
    import gguf as library

    path.mkdir(parents=True)
    whole = gguf()(path / "whole")
    reader = library.GGUFReader(whole)
    half = len(reader.tensors) // 2
    for number, tensors in enumerate((reader.tensors[:half], reader.tensors[half:])):
        file = path / f"tiny-0000{number + 1}-of-00002.gguf"
        writer = library.GGUFWriter(file, "llama")
        for key, entry in reader.fields.items() if number == 0 else ():
            if not key.startswith("GGUF.") and key != "general.architecture":
                kind = entry.types[0]
                writer.add_key_value(key, entry.contents(), kind, entry.types[-1] if len(entry.types) > 1 else None)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", 2)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in tensors:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    whole.unlink()
    return path / "tiny-00002-of-00002.gguf"
