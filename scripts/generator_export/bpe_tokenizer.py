"""Writes byte-level BPE tokenizers, from GGUF files or a vocabulary and merges, as Hugging Face's tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from generator_export.errors import ExportError
from generator_export.gguf_ends import well_known_ends
from generator_export.gguf_file import GgufFile
from generator_export.pre_tokenizers import PRE_TOKENIZERS, PreTokenizer


class TokenType(IntEnum):
    """The kinds of tokens in a GGUF file; SentencePiece has the same."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def pre_tokenizer_of(file: GgufFile) -> PreTokenizer:
    name = file.get("tokenizer.ggml.pre", str, "default")
    found = PRE_TOKENIZERS.get(name)
    if found is None:
        known = ", ".join(PRE_TOKENIZERS)
        raise ExportError(f"{file.path}: pre-tokenizer {name} is not supported; these are: {known}")
    return found


def gguf_tokens(file: GgufFile) -> tuple[list[str], list[int]]:
    """The tokens and their types, for byte-level BPE. A well-known end token becomes a control token even if merges
    produce it: the server then leaves those merges out, because no text may turn into an end."""
    tokens = file.get("tokenizer.ggml.tokens", list)
    if not all(isinstance(token, str) for token in tokens):
        raise ExportError(f"{file.path}: tokenizer.ggml.tokens is not a list of texts")
    tokens = [token or f"[EMPTY_{token_id}]" for token_id, token in enumerate(tokens)]
    types = file.get("tokenizer.ggml.token_type", list, [TokenType.NORMAL] * len(tokens))
    if len(types) != len(tokens) or len(set(tokens)) != len(tokens):
        raise ExportError(f"{file.path}: the tokenizer's tokens are not distinct, or not all of them have a type")
    return tokens, with_control_ends(file, tokens, types)


def with_control_ends(file: GgufFile, tokens: Sequence[str], types: Sequence[int]) -> list[int]:
    """The types, with those of well-known end tokens corrected. An unknown token is no text either, but is needed."""
    ends = well_known_ends(file, tokens)
    return [
        TokenType.CONTROL if token in ends and kind != TokenType.UNKNOWN else kind
        for token, kind in zip(tokens, types, strict=True)
    ]


def _merges(file: GgufFile) -> list[str]:
    merges = file.get("tokenizer.ggml.merges", list)
    if not all(isinstance(merge, str) for merge in merges):
        raise ExportError(f"{file.path}: tokenizer.ggml.merges is not a list of texts")
    return merges


def gguf_tokenizer_json(file: GgufFile) -> bytes:
    """The contents of tokenizer.json. Whether there is a leading token is not in it, but in model.toml."""
    tokens, types = gguf_tokens(file)
    added = [
        added_token(token_id, token, kind != TokenType.USER_DEFINED)
        for token_id, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN)
    ]
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    # Neither half contains a space, because a space is written as another character.
    merges = [merge.split(" ", 1) for merge in _merges(file)]
    return tokenizer_json(file.path, pre_tokenizer_of(file), vocabulary, merges, added)


def tokenizer_json(
    source: Path,
    pre_tokenizer: PreTokenizer,
    vocabulary: Mapping[str, int],
    merges: Sequence[Sequence[str]],
    added: Sequence[Mapping[str, Any]],
) -> bytes:
    for merge in merges:
        if len(merge) != 2 or not {*merge, "".join(merge)} <= vocabulary.keys():
            raise ExportError(f"{source}: the tokenizer merges {' '.join(merge)!r}, which are not all tokens")
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
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
            # Added tokens are in it, too, because this is how they get their ids.
            "vocab": vocabulary,
            "merges": merges,
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def added_token(token_id: int, token: str, special: bool) -> dict[str, Any]:
    """The token as tokenizer.json has it."""
    stripping = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": token, **stripping, "special": special}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
