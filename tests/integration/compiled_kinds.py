"""Small modules of all sorts, compiled by AOTInductor: each once, into a file that later runs use again.

Compiling takes some seconds each, so the table is short, and what is refused is tried with the same packages.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from protocol import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from model_folder import TensorSpec, fingerprint, write_atomically

FOLDER = Path(os.environ.get("PREDICTD_TEST_PACKAGES", ROOT / "build/test-packages")).resolve()
# The library of the operator that one of them uses.
OPERATOR_SOURCE = """
#include <ATen/core/Tensor.h>
#include <ATen/ops/mul.h>
#include <torch/library.h>
namespace {
at::Tensor twice(const at::Tensor& x) { return at::mul(x, 2); }
}
TORCH_LIBRARY(predictd_test, m) {
  m.def("twice(Tensor x) -> Tensor");
}
TORCH_LIBRARY_IMPL(predictd_test, CompositeExplicitAutograd, m) { m.impl("twice", &twice); }
"""

ROWS = Dim("rows", min=1, max=64)
LENGTH = Dim("length", min=4, max=128)


def floats(*shape: int) -> torch.Tensor:
    count = int(torch.tensor(shape).prod())
    return (torch.arange(count, dtype=torch.float32).reshape(shape) - count / 3) / 7


class Scaled(nn.Module):
    """Takes two arguments by keyword, and returns a dict."""

    def forward(self, x, *, scale, shift):
        y = x * scale + shift
        return {"low": y.amin(1, keepdim=True), "high": y.amax(1, keepdim=True), "y": y}


class Nested(nn.Module):
    """Takes a dict and a list, and returns what is no tensor beside what is."""

    def forward(self, d, xs, k, mask=None):
        return {"o": d["a"] - d["b"], "p": [xs[0] * k, None, (xs[1] + 1, 3)]}


class Types(nn.Module):
    """Has an argument of every type."""

    def forward(self, flag, u8, i8, i16, i32, i64, f16, bf16, f32, f64):
        return ~flag, u8 + 1, i8 - 1, i16 * 2, i32 + 3, i64 - 4, f16 + 1, bf16 * 2, f32 / 2, f64 - 1


class Pooled(nn.Module):
    """Averages the embeddings of what a mask shows."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)

    def forward(self, tokens, *, mask):
        weights = mask.to(torch.float32).unsqueeze(-1)
        embedded = self.table(tokens) * weights
        return embedded.sum(1) / weights.sum(1), embedded


class Product(nn.Module):
    """Two matrices that must suit each other."""

    def forward(self, a, b):
        return a @ b


class Stateful(nn.Module):
    """Remembers the sum of what it was asked, and writes to one of its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 4))

    def forward(self, x, y):
        self.total.add_(x.sum(0, keepdim=True))
        y.mul_(3)
        return x + y, self.total.expand(x.size(0), 4).clone(), y


class Ordered(nn.Module):
    """Was exported with inputs that lie in another order in memory."""

    def forward(self, image, x):
        return image * 2 + x.sum(), x[:, 1:]


class Same(nn.Module):
    """Returns its argument, views of it and of a constant, a number, and random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(6.0).reshape(2, 3))

    def forward(self, x):
        return x, x[:, 1:], x.t(), self.table[1], x.size(0), torch.rand_like(x)


class Twice(nn.Module):
    """Uses an operator of a library."""

    def forward(self, x):
        return torch.ops.predictd_test.twice(x) + 1


@dataclass(frozen=True)
class Package:
    """A module with the example that it is exported with."""

    # Always with the same weights.
    build: Callable[[], nn.Module]
    # What it is made of: another text is another module.
    source: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)
    dynamic_shapes: Any = None
    # Whether it wants the library of operators.
    operators: bool = False


def package(
    module: type[nn.Module], arguments: Sequence[Any], dynamic_shapes: Any, **keywords: torch.Tensor
) -> tuple[str, Package]:
    def build() -> nn.Module:
        torch.manual_seed(7)
        return module().eval()

    source = inspect.getsource(module)
    entry = Package(build, source, tuple(arguments), keywords, dynamic_shapes, operators=module is Twice)
    return module.__name__.lower(), entry


R = {0: ROWS}
RL = {0: ROWS, 1: LENGTH}
PACKAGES: dict[str, Package] = dict(
    [
        package(Scaled, [floats(8, 4)], {"x": R, "scale": R, "shift": R}, scale=floats(8, 1), shift=floats(8, 1)),
        package(
            Nested,
            [{"a": floats(8, 4), "b": floats(8, 4)}, [floats(8, 4), floats(8, 2)], 3, None],
            ({"a": R, "b": R}, [R, R], None, None),
        ),
        package(
            Types,
            [
                torch.ones(8, 2, dtype=dtype)
                for dtype in (
                    torch.bool,
                    torch.uint8,
                    torch.int8,
                    torch.int16,
                    torch.int32,
                    torch.int64,
                    torch.float16,
                    torch.bfloat16,
                    torch.float32,
                    torch.float64,
                )
            ],
            (R,) * 10,
        ),
        package(
            Pooled,
            [torch.ones(8, 16, dtype=torch.int64)],
            {"tokens": RL, "mask": RL},
            mask=torch.ones(8, 16, dtype=torch.bool),
        ),
        package(
            Product, [floats(3, 8), floats(8, 5)], {"a": {1: LENGTH}, "b": {0: LENGTH, 1: Dim("columns", max=512)}}
        ),
        package(Stateful, [floats(8, 4), floats(8, 4)], (R, R)),
        package(Ordered, [floats(8, 3, 4, 5).to(memory_format=torch.channels_last), floats(3, 6).t()], (R, None)),
        package(Same, [floats(8, 4)], (R,)),
        package(Twice, [floats(8, 4)], (R,)),
    ]
)


def compiled(name: str) -> Path:
    """The package of that name, compiled if that has not been done yet."""
    return cached(name, "pt2", text_of(name), lambda file: compile_package(PACKAGES[name], file))


def compile_all() -> None:
    """Compiles what has not been, with as many processes as there are cores: a process does one at a time."""
    missing = [name for name in PACKAGES if not cached_file(name, "pt2", text_of(name)).exists()]
    cores = os.cpu_count() or 1
    parts = [missing[i::cores] for i in range(cores)]
    workers = [subprocess.Popen([sys.executable, __file__, *part]) for part in parts if part]
    statuses = [worker.wait() for worker in workers]
    assert not any(statuses)


def text_of(name: str) -> str:
    """What a package is made of."""
    entry = PACKAGES[name]
    example = repr((entry.arguments, entry.keywords, entry.dynamic_shapes))
    return fingerprint() + entry.source + inspect.getsource(compile_package) + example


def compile_package(entry: Package, file: Path) -> None:
    if entry.operators:
        torch.ops.load_library(str(operator_library()))
    program = torch.export.export(entry.build(), entry.arguments, entry.keywords, dynamic_shapes=entry.dynamic_shapes)
    torch._inductor.aoti_compile_and_package(
        program,
        package_path=str(file),
        inductor_configs={
            "cpp.threads": 1,
            "cpp.dynamic_threads": False,
            "aot_inductor.compile_wrapper_opt_level": "O0",
        },
    )


def operator_library() -> Path:
    """The shared library with the operator of `twice`."""

    def build(file: Path) -> None:
        site = Path(torch.__file__).parent
        include = ["-isystem", site / "include", "-isystem", site / "include/torch/csrc/api/include"]
        link = [f"-L{site / 'lib'}", "-ltorch_cpu", "-lc10"]
        command = ["g++", "-std=c++20", "-O0", "-shared", "-fPIC", *include, "-x", "c++", "-", "-o", file, *link]
        subprocess.run(command, input=OPERATOR_SOURCE, text=True, check=True)

    return cached("operators", "so", fingerprint() + OPERATOR_SOURCE, build)


def cached_file(name: str, suffix: str, text: str) -> Path:
    return FOLDER / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"


def cached(name: str, suffix: str, text: str, make: Callable[[Path], None]) -> Path:
    """A file that is made again when `text` changes."""
    file = cached_file(name, suffix, text)
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        for old in FOLDER.glob(f"{name}-*.{suffix}"):
            old.unlink()
        write_atomically(file, make)
    return file


def spec(text: str, **settings: Any) -> TensorSpec:
    """spec("x FP32 -1 4"): name, type and extents."""
    name, dtype, *extents = text.split()
    return TensorSpec(name, dtype, [int(extent) for extent in extents], settings)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for argument in sys.argv[1:]:
        compiled(argument)
