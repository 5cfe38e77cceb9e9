"""GGML's K-quants: blocks of 256 values that share a scale in half precision, with small integers as scales within.

    Q4_K   scale, minima's scale, 12 bytes of 6-bit scales and minima for 8 groups of 32, 128 bytes of low bits
    Q5_K   the same with 32 bytes of fifth bits before the low bits
    Q6_K   128 bytes of low bits, 64 of high bits, 8-bit scales for 16 groups of 16, scale

The low bits are 4 bits of each value. In Q4_K and Q5_K, 32 bytes hold the values of two groups, the first of them in
their low halves; bit g of a byte of fifth bits belongs to group g. In Q6_K, each half of a block has 64 bytes, whose
low halves are its first two runs of 32 values and whose high halves are the other two; each of 32 bytes holds two high
bits for each run, the first run's in the lowest bits.
"""

from __future__ import annotations

import numpy

from generator_export.groups import GROUP, Groups

BLOCK = 256
_GROUPS = BLOCK // GROUP


def q4_k(blocks: numpy.ndarray) -> Groups:
    return _with_scales(blocks, _low_bits(blocks[:, 16:]))


def q5_k(blocks: numpy.ndarray) -> Groups:
    fifth_bits = blocks[:, None, 16:48] >> numpy.arange(_GROUPS, dtype=numpy.uint8)[:, None] & 1
    return _with_scales(blocks, _low_bits(blocks[:, 48:]) | fifth_bits << 4)


def q6_k(blocks: numpy.ndarray) -> numpy.ndarray:
    """The values, float32 [blocks, 256]."""
    low, high = blocks[:, :128].reshape(-1, 2, 1, 64), blocks[:, 128:192].reshape(-1, 2, 1, 32)
    low = numpy.concatenate((low & 15, low >> 4), axis=2).reshape(-1, 2, 4, 32)
    high = high >> numpy.array([0, 2, 4, 6], numpy.uint8)[:, None] & 3
    quants = (low | high << 4).astype(numpy.float32) - 32
    scales = _half(blocks, 208) * blocks[:, 192:208].view(numpy.int8)
    return (quants.reshape(-1, 16, 16) * scales[:, :, None]).reshape(-1, BLOCK)


def _low_bits(data: numpy.ndarray) -> numpy.ndarray:
    """[blocks, groups, 32]."""
    pairs = data.reshape(-1, _GROUPS // 2, 1, GROUP)
    return numpy.concatenate((pairs & 15, pairs >> 4), axis=2).reshape(-1, _GROUPS, GROUP)


def _with_scales(blocks: numpy.ndarray, quants: numpy.ndarray) -> Groups:
    """Groups 0 to 3 have six bits of a byte for their scale and for their minimum; those of the other groups are put
    together from the two remaining bits and the halves of a third byte."""
    first, second, third = (blocks[:, 4 + 4 * i : 8 + 4 * i] for i in range(3))
    scales = numpy.concatenate((first & 63, third & 15 | first >> 6 << 4), axis=1)
    minima = numpy.concatenate((second & 63, third >> 4 | second >> 6 << 4), axis=1)
    return Groups(
        quants.reshape(-1, GROUP),
        (_half(blocks, 0) * scales).reshape(-1, 1),
        -(_half(blocks, 2) * minima).reshape(-1, 1),
    )


def _half(blocks: numpy.ndarray, first: int) -> numpy.ndarray:
    """The number in half precision at byte `first` of each block, as a column."""
    return blocks[:, first : first + 2].copy().view("<f2").astype(numpy.float32)
