"""The model in plain PyTorch and float32, written as in its papers: the exported model is compared with it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from generator_export.architecture import Rotation
from generator_export.checkpoint import Checkpoint


class ReferenceModel:
    """Computes the logits after each token of one sequence, from its beginning."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._architecture = checkpoint.architecture
        self._weights: dict[str, Tensor] = {}

    def logits(self, tokens: Tensor) -> Tensor:
        """From int64 [length] to [length, vocabulary]."""
        x = self._weight("embedding")[tokens]
        for layer in range(self._architecture.layers):
            prefix = f"layers.{layer}."
            x = x + self._attention(prefix, self._norm(x, prefix + "attention_norm"))
            x = x + self._feed_forward(prefix, self._norm(x, prefix + "feed_forward_norm"))
        head = "head" if self._checkpoint.has("head") else "embedding"
        return self._norm(x, "norm") @ self._weight(head).T

    def _attention(self, prefix: str, x: Tensor) -> Tensor:
        architecture = self._architecture
        length, group = x.size(0), architecture.heads // architecture.kv_heads
        q, k, v = (self._project(prefix + name, x).view(length, -1, architecture.head_width) for name in "qkv")
        if self._checkpoint.has(prefix + "q_norm"):
            q, k = self._norm(q, prefix + "q_norm"), self._norm(k, prefix + "k_norm")
        q, k = self._rotate(q), self._rotate(k).repeat_interleave(group, 1)
        v = v.repeat_interleave(group, 1)
        scores = torch.einsum("qhe,khe->hqk", q, k) / architecture.head_width**0.5
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        attended = torch.einsum("hqk,khe->qhe", weights, v).flatten(1)
        return self._project(prefix + "output", attended)

    def _feed_forward(self, prefix: str, x: Tensor) -> Tensor:
        gate, up = self._project(prefix + "gate", x), self._project(prefix + "up", x)
        return self._project(prefix + "down", functional.silu(gate) * up)

    def _project(self, name: str, x: Tensor) -> Tensor:
        y = x @ self._weight(name).T
        bias = f"{name}_bias"
        return y + self._weight(bias) if self._checkpoint.has(bias) else y

    def _norm(self, x: Tensor, name: str) -> Tensor:
        mean_square = x.square().mean(-1, keepdim=True)
        return x * torch.rsqrt(mean_square + self._architecture.norm_epsilon) * self._weight(name)

    def _rotate(self, x: Tensor) -> Tensor:
        """From [length, heads, head width] to the same."""
        angles = torch.outer(torch.arange(x.size(0)), torch.tensor(self._architecture.rope.frequencies))
        scale = self._architecture.rope.scale
        cosine, sine = angles.cos()[:, None] * scale, angles.sin()[:, None] * scale
        if self._architecture.rotation == Rotation.ADJACENT_PAIRS:
            first, second = x[..., 0::2], x[..., 1::2]
            turned = (first * cosine - second * sine, first * sine + second * cosine)
            return torch.stack(turned, -1).flatten(-2)
        first, second = x.chunk(2, -1)
        return torch.cat((first * cosine - second * sine, first * sine + second * cosine), -1)

    def _weight(self, name: str) -> Tensor:
        if name not in self._weights:
            self._weights[name] = self._checkpoint.tensor(name)
        return self._weights[name]
