"""The GGML tensor types that can be read, and their values as float32.

Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 store blocks of 32 values with a scale in half precision. All but the last keep the low
bits of value i in the low half of byte i, and those of value i + 16 in its high half; the fifth bits are a 32-bit
number before them. k_quants.py has the types with larger blocks. The values of types that few files have are read by
the library gguf.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy

from generator_export.groups import Groups
from generator_export.k_quants import BLOCK, q4_k, q5_k, q6_k

# These convert blocks, each a row of bytes, to rows of values.
Decode = Callable[[numpy.ndarray], numpy.ndarray]
ToGroups = Callable[[numpy.ndarray], Groups]


@dataclass(frozen=True)
class TensorType:
    name: str
    block_values: int
    block_bytes: int
    decode: Decode
    # Set for types whose groups of 32 the operators can take as they are.
    groups: ToGroups | None = None


def dequantize(raw: numpy.ndarray, tensor_type: TensorType) -> numpy.ndarray:
    """The values of `raw`, an array of bytes, as a flat array of float32."""
    return tensor_type.decode(raw.reshape(-1, tensor_type.block_bytes)).reshape(-1)


def _grouped(name: str, block_values: int, block_bytes: int, groups: ToGroups) -> TensorType:
    return TensorType(name, block_values, block_bytes, lambda blocks: groups(blocks).values(), groups)


def _as_floats(dtype: str) -> Decode:
    return lambda blocks: blocks.view(dtype).astype(numpy.float32)


def _bf16(blocks: numpy.ndarray) -> numpy.ndarray:
    # A BF16 number is the upper half of a float32.
    return (blocks.view("<u2").astype(numpy.uint32) << 16).view(numpy.float32)


def _halves(blocks: numpy.ndarray, first: int, count: int) -> numpy.ndarray:
    """The `count` numbers in half precision from byte `first` of each block on."""
    return blocks[:, first : first + 2 * count].copy().view("<f2").astype(numpy.float32)


def _nibbles(blocks: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate((blocks & 15, blocks >> 4), axis=1)


def _five_bits(blocks: numpy.ndarray) -> numpy.ndarray:
    fifth_bits = numpy.unpackbits(blocks[:, :4], axis=1, bitorder="little")
    return _nibbles(blocks[:, 4:]) | fifth_bits << 4


def _q4_0(blocks: numpy.ndarray) -> Groups:
    scales = _halves(blocks, 0, 1)
    return Groups(_nibbles(blocks[:, 2:]), scales, -8 * scales)


def _q4_1(blocks: numpy.ndarray) -> Groups:
    scale_and_minimum = _halves(blocks, 0, 2)
    return Groups(_nibbles(blocks[:, 4:]), scale_and_minimum[:, :1], scale_and_minimum[:, 1:])


def _q5_0(blocks: numpy.ndarray) -> Groups:
    return Groups(_five_bits(blocks[:, 2:]).view(numpy.int8) - numpy.int8(16), _halves(blocks, 0, 1))


def _q5_1(blocks: numpy.ndarray) -> numpy.ndarray:
    scale_and_minimum = _halves(blocks, 0, 2)
    return Groups(_five_bits(blocks[:, 4:]), scale_and_minimum[:, :1], scale_and_minimum[:, 1:]).values()


def _q8_0(blocks: numpy.ndarray) -> Groups:
    return Groups(blocks[:, 2:].view(numpy.int8), _halves(blocks, 0, 1))


# The values of the 4-bit indices, as ggml-common.h has them.
_IQ4_VALUES = numpy.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], numpy.int8)


def _iq4_nl(blocks: numpy.ndarray) -> Groups:
    return Groups(_IQ4_VALUES[_nibbles(blocks[:, 2:])], _halves(blocks, 0, 1))


def _by_library(name: str) -> Decode:
    def decode(blocks: numpy.ndarray) -> numpy.ndarray:
        # Imported only here, because hardly any file needs it.
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize as dequantize_blocks

        return dequantize_blocks(blocks, GGMLQuantizationType[name])

    return decode


def _rare(name: str, block_values: int, block_bytes: int) -> TensorType:
    return TensorType(name, block_values, block_bytes, _by_library(name))


# By GGML's numbers for them.
TENSOR_TYPES = {
    0: TensorType("F32", 1, 4, _as_floats("<f4")),
    1: TensorType("F16", 1, 2, _as_floats("<f2")),
    2: _grouped("Q4_0", 32, 18, _q4_0),
    3: _grouped("Q4_1", 32, 20, _q4_1),
    6: _grouped("Q5_0", 32, 22, _q5_0),
    7: TensorType("Q5_1", 32, 24, _q5_1),
    8: _grouped("Q8_0", 32, 34, _q8_0),
    10: _rare("Q2_K", BLOCK, 84),
    11: _rare("Q3_K", BLOCK, 110),
    12: _grouped("Q4_K", BLOCK, 144, q4_k),
    13: TensorType("Q5_K", BLOCK, 176, lambda blocks: q5_k(blocks).values()),
    14: TensorType("Q6_K", BLOCK, 210, q6_k),
    16: _rare("IQ2_XXS", BLOCK, 66),
    17: _rare("IQ2_XS", BLOCK, 74),
    18: _rare("IQ3_XXS", BLOCK, 98),
    19: _rare("IQ1_S", BLOCK, 50),
    20: _grouped("IQ4_NL", 32, 18, _iq4_nl),
    21: _rare("IQ3_S", BLOCK, 110),
    22: _rare("IQ2_S", BLOCK, 82),
    23: _rare("IQ4_XS", BLOCK, 136),
    28: TensorType("F64", 1, 8, _as_floats("<f8")),
    29: _rare("IQ1_M", BLOCK, 56),
    30: TensorType("BF16", 1, 2, _bf16),
    34: _rare("TQ1_0", BLOCK, 54),
    35: _rare("TQ2_0", BLOCK, 66),
    39: _rare("MXFP4", 32, 17),
}
