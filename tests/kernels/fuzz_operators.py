"""Calls the operators with random arguments, most of which they must refuse: `fuzz_operators.py SEED CALLS`.

A program of its own, so that a crash is seen as one. Prints how many calls were taken and how many were refused.
"""

from __future__ import annotations

import random
import sys

import torch
from torch import Tensor

from decoder_parts import LIBRARY, make_turns

EDGES = (0, 1, -1, 15, 16, 31, 32, 33, 64, 2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**63))
DTYPES = (torch.float32, torch.float16, torch.uint8, torch.int8, torch.int64, torch.float64, torch.bool)
# The width of a small decoder, and what its parts are as large as.
WIDTH, HEAD, KV_HEADS, GROUP, INNER = 64, 32, 2, 2, 96
PANEL_BYTES = {
    "q4": lambda columns: columns // 32 * 320,
    "q8": lambda columns: (columns // 32 + 1) // 2 * 64 + columns // 32 * 512,
    "f16": lambda columns: columns * 32,
}


class Arguments:
    """Makes arguments. Each is mostly what the operator wants: else hardly a call would come to its inside."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        # Of the call that is being made.
        self.sanity = 1.0

    def begin(self) -> None:
        self.sanity = self.random.choice((0.5, 0.9, 0.97, 1.0))

    def sane(self) -> bool:
        return self.random.random() < self.sanity

    def size(self) -> int:
        return self.random.choice((0, 1, 2, 3, 5, 15, 16, 17, 32, 63, 64, 65))

    def integer(self, *good: int) -> int:
        return self.random.choice(good) if self.sane() else self.random.choice((*EDGES, self.random.randint(-100, 100)))

    def tensor(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if not self.sane():
            shape = tuple(self.size() for _ in range(self.random.randint(0, 3)))
        if not self.sane():
            dtype = self.random.choice(DTYPES)
        tensor = torch.randint(0, 256, shape, generator=self.generator).to(dtype)
        if dtype.is_floating_point:
            tensor = torch.randn(shape, generator=self.generator).to(dtype)
            if tensor.numel() and not self.sane():
                tensor.view(-1)[0] = self.random.choice((float("nan"), float("inf"), 1e38, 1e-40))
        if tensor.dim() > 0 and not self.sane():
            tensor = tensor.transpose(0, -1) if tensor.dim() > 1 else tensor[::2]
        return tensor

    def packed(self, rows: int, columns: int) -> Tensor:
        """Any bytes are a matrix, if there are as many as it must have."""
        bytes_of = PANEL_BYTES[self.random.choice(tuple(PANEL_BYTES))](columns)
        if not self.sane():
            bytes_of = max(0, bytes_of + self.random.choice((-320, -64, -1, 1, 64, 320, 512, 1024)))
        return self.tensor((rows // 16, bytes_of), torch.uint8)

    def positions(self, sequences: int, length: int) -> Tensor:
        if not self.sane():
            sequences, length = length, sequences
        tensor = torch.randint(0, 8, (sequences, 1), generator=self.generator) + torch.arange(length)
        if tensor.numel() and not self.sane():
            tensor.view(-1)[self.random.randrange(tensor.numel())] = self.random.choice(EDGES)
        return tensor if self.sane() else self.tensor((sequences, length), torch.int64)

    def layer(self) -> list[Tensor]:
        queries = KV_HEADS * GROUP * HEAD
        return [
            self.tensor((WIDTH,), torch.float32),
            self.packed(queries + 2 * KV_HEADS * HEAD, WIDTH),
            self.packed(WIDTH, queries),
            self.tensor((WIDTH,), torch.float32),
            self.packed(2 * INNER, WIDTH),
            self.packed(WIDTH, INNER),
        ]

    def cache(self) -> Tensor:
        return self.tensor((3, 2, KV_HEADS, 32, HEAD), self.random.choice((torch.float32, torch.float16)))

    def epsilon(self) -> float:
        return 1e-5 if self.sane() else self.random.choice((0.0, -1.0, float("nan"), float("inf"), 1e300))

    def call(self, name: str) -> None:
        operator = getattr(torch.ops.predictd, name)
        sequences, length = self.random.randint(0, 3), self.random.randint(0, 9)
        x = self.tensor((sequences * length, WIDTH), torch.float32)
        turns = make_turns(32, HEAD) if self.sane() else self.tensor((32, HEAD), torch.float32)
        positions = self.positions(sequences, length)
        bias = self.tensor(((GROUP + 2) * KV_HEADS * HEAD,), torch.float32) if self.random.random() < 0.5 else None
        norms = self.tensor((2, HEAD), torch.float32) if self.random.random() < 0.5 else None
        rows, columns = 16 * self.random.randint(1, 4), 32 * self.random.randint(1, 9)
        groups = (rows, columns // 32)
        if name == "attention_":
            norm, qkv, output, *_ = self.layer()
            slot = self.integer(0, 1)
            operator(x, norm, self.epsilon(), qkv, bias, norms, output, turns, positions, slot, self.cache())
        elif name == "feed_forward_":
            *_, norm, gate_up, down = self.layer()
            operator(x, norm, self.epsilon(), gate_up, down)
        elif name == "layers_":
            layers = self.random.randint(0, 3)
            weights = [weight for _ in range(layers) for weight in self.layer()]
            if weights and not self.sane():
                weights.pop(self.random.randrange(len(weights)))
            biases = [bias] * (layers if self.sane() else self.random.randint(0, 4)) if bias is not None else []
            norms_of = [norms] * layers if norms is not None else []
            caches = [self.cache() for _ in range(layers if self.sane() else 1)]
            slot = self.integer(0, 1)
            operator(x, self.epsilon(), weights, biases, norms_of, turns, positions, slot, caches)
        elif name == "linear":
            factors = self.tensor((WIDTH,), torch.float32) if self.random.random() < 0.5 else None
            operator(x, self.packed(rows, WIDTH), factors, self.epsilon())
        elif name == "embedding":
            tokens = torch.tensor([self.integer(0, rows - 1) for _ in range(length)], dtype=torch.int64)
            operator(tokens, self.packed(rows, columns), self.integer(columns))
        elif name == "unpack":
            operator(self.packed(rows, columns), self.integer(columns))
        elif name == "pack_q4":
            quants = self.tensor((rows, columns), torch.uint8)
            if quants.dtype == torch.uint8 and self.sane():
                quants = quants & 15
            operator(quants, self.tensor(groups, torch.float16), self.tensor(groups, torch.float16))
        elif name == "pack_q8":
            operator(self.tensor((rows, columns), torch.int8), self.tensor(groups, torch.float16))
        elif name == "pack_f16":
            operator(self.tensor((rows, columns), torch.float16))
        elif name == "make_cache":
            sizes = [self.integer(1, 2), self.integer(1, 2), self.integer(16, 32), self.integer(32, 64)]
            operator(*sizes, self.random.choice(DTYPES))
        elif name == "copy_slot_":
            cache = self.cache()
            operator(cache, self.integer(0, 1), self.integer(1, 2), self.integer(0, 5, 16), self.integer(16, 20, 32))
        else:
            torch.ops.predictd.place([self.tensor((3, 5), torch.float32) for _ in range(length)])


OPERATORS = (
    "attention_", "feed_forward_", "layers_", "linear", "embedding", "unpack", "pack_q4", "pack_q8", "pack_f16",
    "make_cache", "copy_slot_", "place",
)  # fmt: skip


def main(seed: int, calls: int) -> None:
    torch.ops.load_library(LIBRARY)
    torch.set_num_threads(2)
    arguments = Arguments(seed)
    taken = dict.fromkeys(OPERATORS, 0)
    for index in range(calls):
        name = OPERATORS[index % len(OPERATORS)]
        arguments.begin()
        try:
            arguments.call(name)
        except (RuntimeError, MemoryError):
            continue
        taken[name] += 1
    print(*(f"{name}={count}" for name, count in taken.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
