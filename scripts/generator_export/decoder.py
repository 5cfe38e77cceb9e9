"""A decoder of the Llama family in TorchScript on LibTorch's own operators, with half-precision weights: the generator
that the server runs if the model does not suit fused_decoder.py.

Its contract with the server is `forward`, `prefill`, `make_cache` and `copy_slot` of Decoder, and that the cache is a
list of tensors whose first dimension counts slots. The rest of the cache's layout is private to the decoder.

A step consists of many small operators, and calling one takes longer than what it computes. So there are as few of them
as possible:
- The weights of norms, and the square root of the width, are multiplied into the matrices that follow. What is left of
  a norm is x / hypot(|x|, sqrt(width * epsilon)).
- Queries, keys and values come from one matrix, gate and up from another.
- Pairs of elements are rotated as complex numbers, in place, queries and keys at once.
- A layer's cache is [slots, positions, K | V of all heads]. A step writes its rows in place, and attends to a strided
  view.
- Query heads that share a key head are rows of one query. To make this possible, the elements of queries and of
  attention's output are ordered by (row of the group, key head, element).

The span of attention is the same for all sequences of a call; a mask hides the positions that do not belong to a
sequence. So that a sequence's sums nevertheless do not depend on the lengths of its neighbours, the span is rounded up
to the blocks in which the libraries sum. Hidden values must still be finite numbers: otherwise multiplying them by zero
would make everything NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def whole_span(positions: int) -> int:
    """The span of attention if it must see this many positions."""
    # scaled_dot_product_attention processes 512 positions at a time, MKL sums up to 256 of them without a break, and 32
    # is twice the number of floats in the widest vectors.
    whole = positions // 512 * 512
    rest = positions - whole
    if rest > 256:
        return whole + 512
    return whole + (rest + 31) // 32 * 32


class PackedLinear(nn.Module):
    """x W^T + bias in float32, with W in half precision in FBGEMM's packed format. A file holds W itself; loading packs
    it."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic_fp16(x, self.packed)

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, Tensor | None, bool]:
        weight, bias = torch.ops.quantized.linear_unpack_fp16(self.packed)
        return weight.half(), bias, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, Tensor | None, bool]) -> None:
        self.packed = torch.ops.quantized.linear_prepack_fp16(state[0].float(), state[1])
        self.training = state[2]


class Norm(nn.Module):
    """x / sqrt(|x|^2 + floor^2): root mean square normalisation without its factors."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.floor: Tensor
        self.register_buffer("floor", torch.tensor([(width * epsilon) ** 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return x / torch.hypot(torch.linalg.vector_norm(x, 2.0, [-1], True), self.floor)


class HeadNorm(nn.Module):
    """Normalises each head of the queries and keys, in place, with a factor for each element."""

    def __init__(self, factors: Tensor, epsilon: float) -> None:
        super().__init__()
        self.factors: Tensor
        self.floor: Tensor
        self.register_buffer("factors", factors)
        self.register_buffer("floor", torch.tensor([(factors.size(-1) * epsilon) ** 0.5]))

    def forward(self, heads: Tensor) -> None:
        heads.div_(torch.hypot(torch.linalg.vector_norm(heads, 2.0, [-1], True), self.floor)).mul_(self.factors)


class Layer(nn.Module):
    """One layer. Rows are tokens: those of the first sequence, then those of the second, and so on."""

    def __init__(
        self,
        norm: Norm,
        qkv: PackedLinear,
        head_norm: HeadNorm | None,
        output: PackedLinear,
        gate_up: PackedLinear,
        down: PackedLinear,
        kv_heads: int,
        group: int,
        head_width: int,
    ) -> None:
        super().__init__()
        self.norm = norm
        self.qkv = qkv
        self.head_norm = head_norm
        self.output = output
        self.gate_up = gate_up
        self.down = down
        self.kv_heads = kv_heads
        self.group = group
        self.head_width = head_width
        self.q_width = group * kv_heads * head_width
        self.k_width = kv_heads * head_width

    def forward(
        self, x: Tensor, turns: Tensor, places: Tensor, mask: Tensor, first_slot: int, sequences: int, kv: Tensor
    ) -> Tensor:
        """`turns` are the rotations of each row; `places` say where each row is written in the cache, as rows of all
        slots."""
        rows, span = x.size(0), mask.size(-1)
        qkv = self.qkv(self.norm(x))
        row_width = self.q_width + 2 * self.k_width
        heads = self.kv_heads * (self.group + 1)
        if self.head_norm is not None:
            self.head_norm(qkv.as_strided([rows, heads, self.head_width], [row_width, self.head_width, 1]))
        pairs = qkv.as_strided([rows, heads, self.head_width // 2, 2], [row_width, self.head_width, 2, 1])
        torch.view_as_complex(pairs).mul_(turns)

        positions, kv_width = kv.size(1), kv.size(2)
        new_kv = qkv.as_strided([rows, kv_width], [row_width, 1], self.q_width)
        kv.view(-1, kv_width).index_copy_(0, places, new_kv)
        shape = [sequences, self.kv_heads, span, self.head_width]
        strides = [positions * kv_width, self.head_width, kv_width, 1]
        start = first_slot * positions * kv_width
        keys = kv.as_strided(shape, strides, start)
        values = kv.as_strided(shape, strides, start + self.k_width)
        queries = qkv.narrow(1, 0, self.q_width)
        if rows != sequences:
            queries = queries.contiguous()
        queries = queries.view(sequences, -1, self.kv_heads, self.head_width).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(queries, keys, values, mask)
        x = self.output(attended.transpose(1, 2).reshape(rows, self.q_width)).add_(x)

        gate, up = self.gate_up(self.norm(x)).chunk(2, 1)
        return self.down(nn.functional.silu(gate).mul_(up)).add_(x)


class Decoder(nn.Module):
    """See the top of this file. Calls that use the same cache must not overlap; other calls may."""

    def __init__(self, embedding: Tensor, layers: list[Layer], norm: Norm, head: PackedLinear, turns: Tensor) -> None:
        """`turns` are [positions, head width]: cosine and sine for each pair of elements."""
        super().__init__()
        self.embedding: Tensor
        self.turns: Tensor
        self.register_buffer("embedding", embedding)
        self.register_buffer("turns", turns)
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.head = head
        self.group = layers[0].group
        self.kv_width = 2 * layers[0].k_width

    def forward(self, tokens: Tensor, positions: Tensor, first_slot: int, cache: list[Tensor]) -> Tensor:
        """Runs the next tokens of some sequences; returns the logits after the last one of each.

        tokens, positions: int64 [sequences, length]. Sequence i is in slot first_slot + i; its positions are
        consecutive, and the positions before its first one have already been run.
        cache: from make_cache.
        Returns float32 [sequences, vocabulary].
        """
        x = self.run_layers(tokens, positions, first_slot, cache)
        return self.head(self.norm(x[:, -1]))

    @torch.jit.export
    def prefill(self, tokens: Tensor, positions: Tensor, first_slot: int, cache: list[Tensor]) -> None:
        """The same for tokens whose logits are not needed."""
        self.run_layers(tokens, positions, first_slot, cache)

    def run_layers(self, tokens: Tensor, positions: Tensor, first_slot: int, cache: list[Tensor]) -> Tensor:
        """The last layer's output for all tokens: [sequences, length, width]."""
        sequences, length = tokens.size(0), tokens.size(1)
        slots, capacity = cache[0].size(0), cache[0].size(1)
        first_position, last_position = torch.aminmax(positions)
        end = int(last_position) + 1
        if int(first_position) < 0 or end > capacity:
            raise ValueError("a position is outside of the cache")
        if first_slot < 0 or first_slot + sequences > slots:
            raise ValueError("a slot is outside of the cache")
        span = whole_span(end)

        x = nn.functional.embedding(tokens.flatten(), self.embedding).float()
        turns = nn.functional.embedding(positions.flatten(), self.turns)
        turns = torch.view_as_complex(turns.view(sequences * length, 1, -1, 2))
        starts = torch.arange(first_slot * capacity, (first_slot + sequences) * capacity, capacity)
        places = (positions + starts.unsqueeze(1)).flatten()
        mask = self.mask(positions, span)
        for i, layer in enumerate(self.layers):
            x = layer(x, turns, places, mask, first_slot, sequences, cache[i])
        return x.view(sequences, length, -1)

    def mask(self, positions: Tensor, span: int) -> Tensor:
        """The values added to attention's scores: [sequences, 1, rows of a group's query, span]."""
        sequences, length = positions.size(0), positions.size(1)
        hidden = torch.arange(span) > positions.view(sequences, 1, length, 1)
        mask = torch.zeros([sequences, 1, length, span]).masked_fill_(hidden, float("-inf"))
        if length == 1:
            return mask
        mask = mask.unsqueeze(3).expand(sequences, 1, length, self.group, span)
        return mask.reshape(sequences, 1, length * self.group, span)

    @torch.jit.export
    def make_cache(self, slots: int, max_length: int) -> list[Tensor]:
        """Room for the keys and values of `slots` sequences of up to `max_length` positions. Memory is touched only
        when it is used."""
        if slots < 1 or max_length < 1 or max_length > self.turns.size(0):
            raise ValueError("the cache must have slots, and no more positions than the model's context")
        cache: list[Tensor] = []
        for _ in range(len(self.layers)):
            kv = torch.empty([slots, whole_span(max_length), self.kv_width])
            # Memory that is fresh from the system reads as zeros, and reading does not allocate it. Other memory is
            # cleared.
            lowest, highest = torch.aminmax(kv)
            if float(lowest) != 0 or float(highest) != 0:
                kv.zero_()
            cache.append(kv)
        return cache

    @torch.jit.export
    def copy_slot(self, cache: list[Tensor], source: int, destination: int, begin: int, end: int) -> None:
        """Copies the positions from `begin` up to `end` of one slot to another."""
        slots, capacity = cache[0].size(0), cache[0].size(1)
        if min(source, destination) < 0 or max(source, destination) >= slots or begin < 0 or end > capacity:
            raise ValueError("a slot or position is outside of the cache")
        for kv in cache:
            kv[destination, begin:end].copy_(kv[source, begin:end])
