"""Writes the SentencePiece tokenizer of a GGUF file as a tokenizer.model."""

from __future__ import annotations

import math

from generator_export.bpe_tokenizer import TokenType, with_control_ends
from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile
from generator_export.sentencepiece_proto import NORMALIZER, TRAINER, Piece, bytes_field, integer_field

# Field numbers of the trainer's and the normalizer's messages.
_MODEL_TYPE, _VOCABULARY_SIZE, _BYTE_FALLBACK = 3, 4, 35
_TOKEN_IDS = {"unknown": 40, "bos": 41, "eos": 42, "padding": 43}
_NORMALIZER_NAME, _ADD_DUMMY_PREFIX, _REMOVE_EXTRA_WHITESPACES, _ESCAPE_WHITESPACES = 1, 3, 4, 5
_BPE = 2
_NONE = -1
# What llama.cpp assumes if the file does not say it.
_DEFAULT_UNKNOWN = 0


def gguf_pieces(file: GgufFile) -> list[Piece]:
    tokens = file.get("tokenizer.ggml.tokens", list)
    scores = file.get("tokenizer.ggml.scores", list, [0.0] * len(tokens))
    types = file.get("tokenizer.ggml.token_type", list, [TokenType.NORMAL] * len(tokens))
    if not len(tokens) == len(scores) == len(types):
        raise ExportError(f"{file.path}: not all of the tokenizer's tokens have a score and a type")
    if not all(isinstance(token, str) for token in tokens):
        raise ExportError(f"{file.path}: tokenizer.ggml.tokens is not a list of texts")
    types = list(types)
    unknown = file.get("tokenizer.ggml.unknown_token_id", int, _DEFAULT_UNKNOWN)
    if TokenType.UNKNOWN not in types and 0 <= unknown < len(types):
        types[unknown] = TokenType.UNKNOWN
    types = with_control_ends(file, tokens, types)
    known = {kind.value for kind in TokenType}
    return [
        # The library accepts no pieces without a text and none without a type.
        Piece(
            token or f"[EMPTY_{token_id}]",
            float(score) if math.isfinite(score) else 0.0,
            kind if kind in known else TokenType.NORMAL,
        )
        for token_id, (token, score, kind) in enumerate(zip(tokens, scores, types, strict=True))
    ]


def sentencepiece_model(file: GgufFile) -> bytes:
    """The contents of tokenizer.model."""
    pieces = gguf_pieces(file)
    trainer = integer_field(_MODEL_TYPE, _BPE) + integer_field(_VOCABULARY_SIZE, len(pieces))
    trainer += integer_field(_BYTE_FALLBACK, any(piece.kind == TokenType.BYTE for piece in pieces))
    for name, field in _TOKEN_IDS.items():
        token_id = file.metadata.get(f"tokenizer.ggml.{name}_token_id")
        if not isinstance(token_id, int) or not 0 <= token_id < len(pieces):
            token_id = _NONE
        trainer += integer_field(field, token_id)
    normalizer = bytes_field(_NORMALIZER_NAME, b"identity")
    normalizer += integer_field(_ADD_DUMMY_PREFIX, file.get("tokenizer.ggml.add_space_prefix", bool, True))
    normalizer += integer_field(
        _REMOVE_EXTRA_WHITESPACES, file.get("tokenizer.ggml.remove_extra_whitespaces", bool, False)
    )
    normalizer += integer_field(_ESCAPE_WHITESPACES, True)
    encoded = b"".join(piece.encoded() for piece in pieces)
    return encoded + bytes_field(TRAINER, trainer) + bytes_field(NORMALIZER, normalizer)
