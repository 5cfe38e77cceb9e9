#!/usr/bin/env python3
"""Writes the inputs from which the fuzzers begin: real arrays, the JSON of people, trailers of real servers.

    tests/fuzz/make_corpus.py FOLDER

FOLDER gets a folder for each fuzzer.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT = ROOT / "models/digits/heldout"
TYPES = ("?", "u1", "<u2", "<u4", "<u8", "i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8", ">f4", "U2", "O")
# Where trailers of real servers are quoted.
DOCUMENTS = ("client/README.md", "proto/predictd/v1/prediction_service.proto", "tests/client/server_timing_test.cc")
TIMING = re.compile(r"[\w]+;(?:dur|desc)=[^`\n]*")
JSON_TEXTS = (
    "[[1, 2, 3, 4]]",
    "[[1.5, 2], [3, NaN]]",
    '[[1, 2.5, -3], [0, "Infinity", 6]]',
    "[-0, -0.0, 1e-400, 65519.999, 1e39, 18446744073709551615, -9223372036854775808]",
    '["a", "Gr\\u00fc\\u00dfe", "", "\\ud83d\\ude00"]',
    '{"ids": [[1, 2, 3], [4, 5, 6]], "scale": [[1], [-2]]}',
    "[[], []]",
    "true",
)


def arrays() -> Iterator[bytes]:
    """The content of .npy files of every type and format version."""
    labels = numpy.load(HELD_OUT / "labels.npy")
    images = numpy.load(HELD_OUT / "images.npy")
    for array in (labels[:8], labels.reshape(-1, 2)[:4], images[:1], images[0, 0, 3], images[:0]):
        yield npy(array)
    for name in TYPES:
        yield npy(labels[:6].astype(name).reshape(2, 3))
    yield npy(numpy.float32(1.5))
    yield npy(numpy.asfortranarray(labels[:6].reshape(2, 3)))
    for version in ((1, 0), (2, 0), (3, 0)):
        yield npy(labels[:2], version)


def npy(array: numpy.ndarray | numpy.generic, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    numpy.lib.format.write_array(file, numpy.asanyarray(array), version)
    return file.getvalue()


def texts() -> Iterator[bytes]:
    for text in JSON_TEXTS:
        yield text.encode()
    yield json.dumps(numpy.load(HELD_OUT / "images.npy")[:1].tolist()).encode()
    yield json.dumps(numpy.load(HELD_OUT / "labels.npy")[:20].tolist()).encode()
    yield b"[" * 40 + b"]" * 40


def trailers() -> Iterator[bytes]:
    for name in DOCUMENTS:
        for found in TIMING.finditer((ROOT / name).read_text(encoding="utf-8")):
            yield found[0].encode()


def main() -> int:
    folder = Path(sys.argv[1])
    for name, inputs in (("npy", arrays()), ("json", texts()), ("server_timing", trailers())):
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        contents = set(inputs)
        assert contents, f"there is nothing for {name}"
        for number, content in enumerate(sorted(contents)):
            (target / f"seed-{number}").write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
