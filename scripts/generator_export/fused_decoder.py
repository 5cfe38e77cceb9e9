"""The generator that the server runs, on the project's own operators: quantised weights, and all layers in one call.

Its contract with the server is that of decoder.py: `forward`, `prefill`, `make_cache` and `copy_slot`, and that the
cache is a list of tensors whose first dimension counts slots. The operators check their arguments, so little is checked
here.

The tensors are those that the operators take; fused_layout.py makes them. A file holds the matrices packed: loading
only moves them to where the system provides huge pages. The file also holds small matrices of known values, so that
operators with another packing are detected and do not compute nonsense.
"""

# Annotations must not become strings, because TorchScript does not understand those of attributes as strings.
from typing import Final

import torch
from torch import Tensor, nn

from generator_export.architecture import Architecture


class FusedDecoder(nn.Module):
    """Calls that use the same cache must not overlap; other calls may."""

    weights: list[Tensor]
    biases: list[Tensor]
    head_norms: list[Tensor]
    tables: list[Tensor]
    samples: list[Tensor]
    width: Final[int]
    vocabulary: Final[int]
    kv_heads: Final[int]
    head_width: Final[int]
    epsilon: Final[float]
    half_cache: Final[bool]

    def __init__(
        self,
        architecture: Architecture,
        weights: list[Tensor],
        biases: list[Tensor],
        head_norms: list[Tensor],
        tables: list[Tensor],
        samples: list[Tensor],
        half_cache: bool,
    ) -> None:
        """`weights` are six for each layer, `biases` and `head_norms` one or none; `tables` are the last norm's
        factors, the rotations, the head, and the embedding if it is not the head. `samples` are packed matrices, each
        followed by its values."""
        super().__init__()
        self.weights = weights
        self.biases = biases
        self.head_norms = head_norms
        self.tables = tables
        self.samples = samples
        self.width = architecture.width
        self.vocabulary = architecture.vocabulary_size
        self.kv_heads = architecture.kv_heads
        self.head_width = architecture.head_width
        self.epsilon = architecture.norm_epsilon
        self.half_cache = half_cache

    def forward(self, tokens: Tensor, positions: Tensor, first_slot: int, cache: list[Tensor]) -> Tensor:
        """Runs the next tokens of some sequences; returns the logits after the last one of each.

        tokens, positions: int64 [sequences, length]. Sequence i is in slot first_slot + i; its positions are
        consecutive, and the positions before its first one have already been run.
        cache: from make_cache.
        Returns float32 [sequences, vocabulary].
        """
        x = self.run_layers(tokens, positions, first_slot, cache)
        sequences, length = tokens.size(0), tokens.size(1)
        if length != 1:
            x = x.view(sequences, length, self.width).select(1, -1).contiguous()
        logits = torch.ops.predictd.linear(x, self.tables[2], self.tables[0], self.epsilon)
        return logits if logits.size(1) == self.vocabulary else logits.narrow(1, 0, self.vocabulary)

    @torch.jit.export
    def prefill(self, tokens: Tensor, positions: Tensor, first_slot: int, cache: list[Tensor]) -> None:
        """The same for tokens whose logits are not needed."""
        self.run_layers(tokens, positions, first_slot, cache)

    def run_layers(self, tokens: Tensor, positions: Tensor, first_slot: int, cache: list[Tensor]) -> Tensor:
        x = torch.ops.predictd.embedding(tokens.flatten(), self.tables[-1], self.width)
        torch.ops.predictd.layers_(
            x, self.epsilon, self.weights, self.biases, self.head_norms, self.tables[1], positions, first_slot, cache
        )
        return x

    @torch.jit.export
    def make_cache(self, slots: int, max_length: int) -> list[Tensor]:
        """Room for the keys and values of `slots` sequences of up to `max_length` positions. Memory is touched only
        when it is used."""
        if max_length > self.tables[1].size(0):
            raise ValueError("the cache must have no more positions than the model's context")
        # The operators attend to blocks of 16 positions.
        positions = (max_length + 15) // 16 * 16
        dtype = torch.float16 if self.half_cache else torch.float32
        cache: list[Tensor] = []
        for _ in range(len(self.weights) // 6):
            cache.append(torch.ops.predictd.make_cache(slots, self.kv_heads, positions, self.head_width, dtype))  # noqa: PERF401
        return cache

    @torch.jit.export
    def copy_slot(self, cache: list[Tensor], source: int, destination: int, begin: int, end: int) -> None:
        """Copies the positions from `begin` up to `end` of one slot to another."""
        for kv in cache:
            torch.ops.predictd.copy_slot_(kv, source, destination, begin, end)

    @torch.jit.export
    def __getstate__(self) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor], list[Tensor], bool]:
        return self.samples, self.weights, self.biases, self.head_norms, self.tables, self.training

    @torch.jit.export
    def __setstate__(
        self, state: tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor], list[Tensor], bool]
    ) -> None:
        self.samples = state[0]
        for i in range(0, len(self.samples), 2):
            values = self.samples[i + 1]
            if not torch.equal(torch.ops.predictd.unpack(self.samples[i], values.size(1)), values):
                raise ValueError("the weights are packed for another version of predictd: export the model again")
        self.weights = torch.ops.predictd.place(state[1])
        self.biases = state[2]
        self.head_norms = state[3]
        self.tables = torch.ops.predictd.place(state[4])
        self.training = state[5]
