"""Reads and writes the needed parts of a tokenizer.model, SentencePiece's own format: a protobuf message,
sentencepiece.ModelProto."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Field numbers of ModelProto, and of the pieces within it.
PIECES, TRAINER, NORMALIZER = 1, 2, 3
_PIECE_TEXT, _PIECE_SCORE, _PIECE_TYPE = 1, 2, 3
_NORMAL = 1

# The wire types, which say what follows a field's number.
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class Piece:
    text: str
    score: float
    # One of bpe_tokenizer.TokenType.
    kind: int

    def encoded(self) -> bytes:
        text = self.text.encode("utf-8", errors="replace")
        inner = bytes_field(_PIECE_TEXT, text) + float_field(_PIECE_SCORE, self.score)
        return bytes_field(PIECES, inner + integer_field(_PIECE_TYPE, self.kind))


def read_pieces(model: bytes) -> list[Piece]:
    """The pieces of a tokenizer.model; a ValueError if it is not one."""
    pieces = [_read_piece(value) for field, value, _ in _fields(model) if field == PIECES and isinstance(value, bytes)]
    if not pieces:
        raise ValueError("the message is broken: it has no pieces")
    return pieces


def with_pieces(model: bytes, changes: Mapping[int, Piece]) -> bytes:
    """The model with these pieces in the places of others; places after the last piece are filled, too."""
    left, result, index = dict(changes), [], 0
    for field, _, raw in _fields(model):
        changed = left.pop(index, None) if field == PIECES else None
        result.append(changed.encoded() if changed else raw)
        index += field == PIECES
    # The library ignores a control piece that nobody writes.
    result.extend(
        left.get(place, Piece(f"[unused{place}]", 0.0, 3)).encoded()
        for place in range(index, max(left, default=-1) + 1)
    )
    return b"".join(result)


def _read_piece(message: bytes) -> Piece:
    values: dict[int, bytes | int | float] = {field: value for field, value, _ in _fields(message)}
    text, kind = values.get(_PIECE_TEXT, b""), values.get(_PIECE_TYPE, _NORMAL)
    score = values.get(_PIECE_SCORE, 0.0)
    if not isinstance(text, bytes) or not isinstance(kind, int) or not isinstance(score, float):
        raise ValueError("a piece is broken")
    return Piece(text.decode("utf-8", errors="replace"), score, kind)


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int | float, bytes]]:
    """The number, value and encoding of each field."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            if position >= len(message) or shift > 63:
                raise ValueError("the message is broken")
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def take(count: int) -> bytes:
        nonlocal position
        if count > len(message) - position:
            raise ValueError("the message is broken")
        position += count
        return message[position - count : position]

    while position < len(message):
        start = position
        key = varint()
        kind = key & 7
        value: bytes | int | float
        if kind == _VARINT:
            value = varint()
        elif kind == _BYTES:
            value = take(varint())
        elif kind == _FOUR_BYTES:
            value = struct.unpack("<f", take(4))[0]
        elif kind == _EIGHT_BYTES:
            value = take(8)
        else:
            raise ValueError("the message is broken")
        yield key >> 3, value, message[start:position]


def integer_field(field: int, value: int) -> bytes:
    # Negative numbers are written with 64 bits.
    return _varint(field << 3) + _varint(value % (1 << 64))


def bytes_field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def float_field(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FOUR_BYTES) + struct.pack("<f", value)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    groups.append(value)
    return bytes(groups)
