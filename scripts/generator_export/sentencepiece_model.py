"""Writes the SentencePiece tokenizer of a GGUF file as a tokenizer.model, SentencePiece's own format.

That is a protobuf message, sentencepiece.ModelProto; the few fields that a GGUF file can fill are encoded by hand.
"""

from __future__ import annotations

import struct

from generator_export.bpe_tokenizer import TokenType
from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile

# Field numbers of ModelProto, and of the messages within it.
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE_TEXT, _PIECE_SCORE, _PIECE_TYPE = 1, 2, 3
_MODEL_TYPE, _VOCABULARY_SIZE, _BYTE_FALLBACK = 3, 4, 35
_TOKEN_IDS = {"unknown": 40, "bos": 41, "eos": 42, "padding": 43}
_NORMALIZER_NAME, _ADD_DUMMY_PREFIX, _REMOVE_EXTRA_WHITESPACES, _ESCAPE_WHITESPACES = 1, 3, 4, 5
_BPE = 2
_NONE = -1


def sentencepiece_model(file: GgufFile) -> bytes:
    """The contents of tokenizer.model."""
    tokens = file.get("tokenizer.ggml.tokens", list)
    scores = file.get("tokenizer.ggml.scores", list)
    types = file.get("tokenizer.ggml.token_type", list)
    if not len(tokens) == len(scores) == len(types):
        raise ExportError(f"{file.path}: not all of the tokenizer's tokens have a score and a type")
    pieces = b"".join(
        _bytes(_PIECES, _bytes(_PIECE_TEXT, token.encode()) + _float(_PIECE_SCORE, score) + _integer(_PIECE_TYPE, kind))
        for token, score, kind in zip(tokens, scores, types)
    )
    trainer = _integer(_MODEL_TYPE, _BPE) + _integer(_VOCABULARY_SIZE, len(tokens))
    trainer += _integer(_BYTE_FALLBACK, TokenType.BYTE in types)
    for name, field in _TOKEN_IDS.items():
        trainer += _integer(field, file.get(f"tokenizer.ggml.{name}_token_id", int, _NONE))
    normalizer = _bytes(_NORMALIZER_NAME, b"identity")
    normalizer += _integer(_ADD_DUMMY_PREFIX, file.get("tokenizer.ggml.add_space_prefix", bool, True))
    normalizer += _integer(_REMOVE_EXTRA_WHITESPACES, file.get("tokenizer.ggml.remove_extra_whitespaces", bool, False))
    normalizer += _integer(_ESCAPE_WHITESPACES, True)
    return pieces + _bytes(_TRAINER, trainer) + _bytes(_NORMALIZER, normalizer)


def _integer(field: int, value: int) -> bytes:
    # Negative ones are written as 64 bits.
    return _varint(field << 3) + _varint(value % (1 << 64))


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    groups.append(value)
    return bytes(groups)
