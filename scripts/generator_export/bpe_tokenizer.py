"""Writes the byte-level BPE tokenizer of a GGUF file in the format of Hugging Face's tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile


class TokenType(IntEnum):
    """The kinds of tokens in a GGUF file; SentencePiece has the same."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class PreTokenizer:
    """How text is cut into the pieces within which tokens are merged: at the matches of one pattern after the other."""

    patterns: Sequence[str]
    # Whether a piece that is a token is not merged from its bytes.
    ignore_merges: bool = False
    normalizer: str | None = None


_GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_GPT2 = _GPT2_WORDS + r"|\s+"


def _digits_together(pattern: str) -> str:
    """Llama 3's pattern and those after it, which differ in how many digits stay together."""
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + pattern
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


# By the names in tokenizer.ggml.pre.
PRE_TOKENIZERS = {
    "default": PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2_WORDS, r"\p{N}+", r"[0-9][0-9][0-9]")),
    "gpt-2": PreTokenizer((_GPT2,)),
    "smollm": PreTokenizer((r"\p{N}", _GPT2)),
    "llama-bpe": PreTokenizer((_digits_together(r"\p{N}{1,3}"),), ignore_merges=True),
    "qwen2": PreTokenizer((_digits_together(r"\p{N}"),), normalizer="NFC"),
}


def tokenizer_json(file: GgufFile) -> bytes:
    """The contents of tokenizer.json. A leading token is not its business: model.toml says whether there is one."""
    name = file.get("tokenizer.ggml.pre", str, "default")
    pre_tokenizer = PRE_TOKENIZERS.get(name)
    if pre_tokenizer is None:
        known = ", ".join(PRE_TOKENIZERS)
        raise ExportError(f"{file.path}: pre-tokenizer {name} is not supported; these are: {known}")
    tokens = file.get("tokenizer.ggml.tokens", list)
    types = file.get("tokenizer.ggml.token_type", list, [TokenType.NORMAL] * len(tokens))
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    if len(types) != len(tokens) or len(vocabulary) != len(tokens):
        raise ExportError(f"{file.path}: the tokenizer's tokens are not distinct, or not all of them have a type")
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added_token(token_id, token, kind)
            for token_id, (token, kind) in enumerate(zip(tokens, types))
            if kind in (TokenType.CONTROL, TokenType.USER_DEFINED)
        ],
        "normalizer": {"type": pre_tokenizer.normalizer} if pre_tokenizer.normalizer else None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                *(_split(pattern) for pattern in pre_tokenizer.patterns),
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre_tokenizer.ignore_merges,
            # Added tokens too: that is how they get their numbers.
            "vocab": vocabulary,
            "merges": _merges(file, vocabulary),
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _added_token(token_id: int, token: str, kind: TokenType) -> dict[str, Any]:
    stripping = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": token, **stripping, "special": kind == TokenType.CONTROL}


def _merges(file: GgufFile, vocabulary: dict[str, int]) -> list[list[str]]:
    merges = []
    for merge in file.get("tokenizer.ggml.merges", list):
        # Neither half holds a space: that is written as another character.
        left, _, right = merge.partition(" ")
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise ExportError(f"{file.path}: the tokenizer merges {merge!r}, which are not all tokens")
        merges.append([left, right])
    return merges
