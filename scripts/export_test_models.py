#!/usr/bin/env python3
"""Exports the small models that the integration tests and the benches serve: MODELS/NAME/{model.toml,1/model.pt}.

Each function below makes one; its first line says what the model is for. Does nothing for a model that is there
already, unless this script has changed since.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from model_folder import (
    TensorSpec,
    TomlValue,
    fingerprint,
    is_current,
    model_toml,
    write_atomically,
    write_stamp,
    write_text,
)

if TYPE_CHECKING:
    import torch

FILES = ("model.toml", "1/model.pt")
SEED = 7
NUMERIC_DTYPES = "BOOL UINT8 UINT16 UINT32 UINT64 INT8 INT16 INT32 INT64 FP16 BF16 FP32 FP64".split()


def export_linear(folder: Path) -> None:
    """One Linear layer: the cheapest real model, for the transport bench and for tests that only need an answer."""
    import torch

    _save(
        folder,
        torch.nn.Linear(64, 64),
        "One linear layer.",
        [TensorSpec("x", "FP32", [-1, 64])],
        [TensorSpec("y", "FP32", [-1, 64])],
    )


def export_types(folder: Path) -> None:
    """Returns its inputs: one of each numeric dtype, so that every encoding can be compared bit by bit."""
    import torch

    names = [dtype.lower() for dtype in NUMERIC_DTYPES]
    arguments = ", ".join(f"{name}_in: Tensor" for name in names)
    results = ", ".join(f"{name}_in" for name in names)
    module = torch.jit.script(torch.nn.Module())
    module.define(f"def forward(self, {arguments}):\n  return ({results})\n")
    _save(
        folder,
        module,
        "Returns its inputs, one of each numeric dtype.",
        [TensorSpec(f"{name}_in", dtype, [-1, 3]) for name, dtype in zip(names, NUMERIC_DTYPES, strict=True)],
        [TensorSpec(f"{name}_out", dtype, [-1, 3]) for name, dtype in zip(names, NUMERIC_DTYPES, strict=True)],
    )


def export_strings(folder: Path) -> None:
    """Takes and returns BYTES."""
    import torch

    class Strings(torch.nn.Module):
        def forward(self, text: list[str]) -> tuple[torch.Tensor, list[str]]:
            length = torch.tensor([len(item) for item in text], dtype=torch.int64)
            return length, [item.upper() for item in text]

    _save(
        folder,
        Strings(),
        "The length in bytes and the upper-case form (ASCII letters) of each string.",
        [TensorSpec("text", "BYTES", [-1])],
        [TensorSpec("length", "INT64", [-1]), TensorSpec("upper", "BYTES", [-1])],
        batched=False,
    )


def export_slow(folder: Path) -> None:
    """Keeps a worker busy for about as many milliseconds as the largest row says, by computing (it never sleeps)."""
    import torch

    class Slow(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # 128x128 products that one thread of a present-day server core computes in a millisecond.
            self.steps_per_millisecond = 25
            # An orthogonal matrix: products of any length stay finite.
            self.rotation: torch.Tensor
            self.register_buffer("rotation", torch.linalg.qr(torch.randn(128, 128))[0])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps = int(float(x.max()) * self.steps_per_millisecond)
            state = self.rotation
            for _ in range(steps):
                state = torch.mm(state, self.rotation)
            # The answer depends on the loop, so no optimizer may drop it.
            assert bool(torch.isfinite(state).all()), "the state is no longer finite"
            return x.clone()

    _save(
        folder,
        Slow(),
        "Computes for about max(x) milliseconds on one thread, then returns x.",
        [TensorSpec("x", "FP32", [-1, 1])],
        [TensorSpec("y", "FP32", [-1, 1])],
        max_batch_size=4,
        queue_capacity=64,
    )


def export_faulty(folder: Path) -> None:
    """Fails for negative rows: one bad member must not fail its batch mates, and the cause must not leak."""
    import torch

    class Faulty(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if bool((x < 0).any()):
                raise ValueError("the square root of a negative row")
            return torch.sqrt(x)

    _save(
        folder,
        Faulty(),
        "The square root; raises when a row is negative.",
        [TensorSpec("x", "FP32", [-1, 1])],
        [TensorSpec("y", "FP32", [-1, 1])],
    )


def export_fixed(folder: Path) -> None:
    """Not batched, with fixed shapes and a scalar."""
    import torch

    class Fixed(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a * b

    _save(
        folder,
        Fixed(),
        "c = a * b, for a matrix of one size and a whole number.",
        [TensorSpec("a", "FP32", [2, 3]), TensorSpec("b", "INT64", [])],
        [TensorSpec("c", "FP32", [2, 3])],
        batched=False,
    )


def export_multi(folder: Path) -> None:
    """Two inputs of which one has a second dynamic dimension: only requests of one width can share a batch."""
    import torch

    class Multi(torch.nn.Module):
        def forward(self, ids: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            return ids.sum(dim=1, keepdim=True).to(torch.float32) * scale

    _save(
        folder,
        Multi(),
        "The sum of each row of ids, times its scale.",
        [TensorSpec("ids", "INT64", [-1, -1]), TensorSpec("scale", "FP32", [-1, 1])],
        [TensorSpec("sum", "FP32", [-1, 1])],
    )


def _save_attention(folder: Path, description: str, padded: bool) -> None:
    import torch

    width = 16

    class Attention(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(32, width)
            self.query = torch.nn.Parameter(torch.randn(width, width) / width**0.5)
            self.key = torch.nn.Parameter(torch.randn(width, width) / width**0.5)

        def attend(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            scores = (x @ self.query.to(x.dtype)) @ (x @ self.key.to(x.dtype)).transpose(1, 2)
            scores = scores.masked_fill(torch.logical_not(mask).unsqueeze(1), float("-inf"))
            return torch.softmax(scores, dim=-1) @ x

        def pool(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden = self.attend(x, mask).masked_fill(torch.logical_not(mask).unsqueeze(2), 0.0)
            return hidden.sum(dim=1) / mask.sum(dim=1, keepdim=True).to(x.dtype)

        def forward(
            self, tokens: torch.Tensor, mask: torch.Tensor, bias: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
            x = self.embedding(tokens) + bias.unsqueeze(2)
            return (
                tokens,
                self.attend(x, mask),
                self.pool(x, mask),
                self.pool(x.to(torch.float64), mask),
                self.pool(x.to(torch.float16), mask),
                self.pool(x.to(torch.bfloat16), mask),
            )

    # What fills up is a token and a bias as good as any: an answer that is right has not looked at them.
    to_buckets: dict[str, TomlValue] = {"pad_to": (4, 16, 64), "pad_value": 3}
    like_tokens: dict[str, TomlValue] = {"pad_like": "tokens", "pad_value": 5}
    mask: dict[str, TomlValue] = {"mask_of": "tokens"}
    cut_back: dict[str, TomlValue] = {"unpad": "tokens"}
    none: dict[str, TomlValue] = {}
    _save(
        folder,
        Attention(),
        description,
        [
            TensorSpec("tokens", "INT64", [-1, -1], to_buckets if padded else none),
            TensorSpec("mask", "BOOL", [-1, -1], mask if padded else none),
            TensorSpec("bias", "FP32", [-1, -1], like_tokens if padded else none),
        ],
        [
            TensorSpec("echo", "INT64", [-1, -1], cut_back if padded else none),
            TensorSpec("hidden", "FP32", [-1, -1, width], cut_back if padded else none),
            *(TensorSpec(f"pooled_{dtype.lower()}", dtype, [-1, width]) for dtype in ("FP32", "FP64", "FP16", "BF16")),
        ],
        max_batch_size=32,
    )


def export_attention(folder: Path) -> None:
    """Attention over sequences that the server pads: an answer must not depend on who shares the batch."""
    _save_attention(folder, "Attention over token sequences, padded to 4, 16 or 64.", padded=True)


def export_attention_unpadded(folder: Path) -> None:
    """The same network without padding, with the mask as an input: what the padded one is compared with."""
    _save_attention(folder, "Attention over token sequences of any length.", padded=False)


def export_aliases(folder: Path) -> None:
    """Returns its input and a part of it: their memory is the request's, or the batch's."""
    import torch

    class Aliases(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            return x, x[:, 1:], x.reshape(x.size(0), 2, 2)

    _save(
        folder,
        Aliases(),
        "Its input whole, in part and in another shape.",
        [TensorSpec("x", "FP32", [-1, 4])],
        [
            TensorSpec("whole", "FP32", [-1, 4]),
            TensorSpec("part", "FP32", [-1, 3]),
            TensorSpec("pairs", "FP32", [-1, 2, 2]),
        ],
    )


def export_broken(folder: Path) -> None:
    """Its model.pt is no model: loading it fails."""
    write_atomically(folder / "1" / "model.pt", lambda partial: partial.write_bytes(b"this is not a model\n" * 64))
    _write_toml(
        folder,
        "Cannot be loaded.",
        [TensorSpec("x", "FP32", [-1, 1])],
        [TensorSpec("y", "FP32", [-1, 1])],
    )


def export_heavy_load(folder: Path) -> None:
    """60 MB of parameters, so that loading takes a while: other models must not notice."""
    import torch

    width = 3968
    hidden = torch.nn.Linear(width, width, bias=False)
    # Random numbers for 16 million parameters would take longer than everything else here together.
    torch.nn.init.constant_(hidden.weight, 1.0 / width)
    _save(
        folder,
        torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.ReLU(), hidden, torch.nn.Linear(width, 1)),
        "A wide network with 60 MB of parameters.",
        [TensorSpec("x", "FP32", [-1, 1])],
        [TensorSpec("y", "FP32", [-1, 1])],
    )


def export_encoder(folder: Path) -> None:
    """A transformer encoder of two layers: what computing costs, for the benches that need a model of weight."""
    import torch
    from torch import nn

    vocabulary, length, width, heads, answer = 1000, 32, 256, 4, 64

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = heads
            self.before_attention = nn.LayerNorm(width)
            self.queries_keys_values = nn.Linear(width, 3 * width)
            self.attended = nn.Linear(width, width)
            self.before_feed_forward = nn.LayerNorm(width)
            self.widen = nn.Linear(width, 4 * width)
            self.narrow = nn.Linear(4 * width, width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows, tokens, features = x.shape
            projected = self.queries_keys_values(self.before_attention(x))
            by_head = projected.view(rows, tokens, 3, self.heads, features // self.heads)
            q, k, v = by_head.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
            x = x + self.attended(mixed.transpose(1, 2).reshape(rows, tokens, features))
            return x + self.narrow(nn.functional.gelu(self.widen(self.before_feed_forward(x))))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(vocabulary, width)
            self.positions = nn.Parameter(torch.randn(length, width))
            self.layers = nn.Sequential(Layer(), Layer())
            self.answer = nn.Linear(width, answer)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.answer(self.layers(self.tokens(ids) + self.positions).mean(dim=1))

    _save(
        folder,
        Encoder(),
        f"A transformer encoder: {length} token ids below {vocabulary} to one vector.",
        [TensorSpec("ids", "INT64", [-1, length])],
        [TensorSpec("embedding", "FP32", [-1, answer])],
        max_batch_size=64,
    )


EXPORTERS: dict[str, Callable[[Path], None]] = {
    "linear": export_linear,
    "types": export_types,
    "strings": export_strings,
    "slow": export_slow,
    "faulty": export_faulty,
    "fixed": export_fixed,
    "multi": export_multi,
    "attention": export_attention,
    "attention_unpadded": export_attention_unpadded,
    "aliases": export_aliases,
    "broken": export_broken,
    "heavy_load": export_heavy_load,
    "encoder": export_encoder,
}


def _save(
    folder: Path,
    module: torch.nn.Module,
    description: str,
    inputs: list[TensorSpec],
    outputs: list[TensorSpec],
    **settings: TomlValue,
) -> None:
    import torch

    scripted: torch.jit.ScriptModule = torch.jit.script(module.eval())
    write_atomically(folder / "1" / "model.pt", lambda partial: scripted.save(str(partial)))
    _write_toml(folder, description, inputs, outputs, **settings)


def _write_toml(
    folder: Path,
    description: str,
    inputs: list[TensorSpec],
    outputs: list[TensorSpec],
    **settings: TomlValue,
) -> None:
    write_text(folder / "model.toml", model_toml(description, inputs, outputs, **settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, required=True)
    parser.add_argument("--only", choices=EXPORTERS, metavar="NAME", help=f"one of {', '.join(EXPORTERS)}")
    parser.add_argument("--force", action="store_true", help="export again even if nothing changed")
    arguments = parser.parse_args()

    start = time.monotonic()
    current = fingerprint(Path(__file__))
    wanted = [arguments.only] if arguments.only else list(EXPORTERS)
    stale = [name for name in wanted if arguments.force or not is_current(arguments.models_dir / name, current, FILES)]
    if stale:
        import torch

        warnings.filterwarnings("ignore")
        for name in stale:
            torch.manual_seed(SEED)
            EXPORTERS[name](arguments.models_dir / name)
            write_stamp(arguments.models_dir / name, current)
    print(
        f"test models: {len(stale)} exported, {len(wanted) - len(stale)} up to date in {arguments.models_dir}; "
        f"{time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
