"""A table of models as people write them: what a kind is, how it is saved, and what PyTorch itself answers.

The modules are in `model_kinds_arguments`, `model_kinds_outputs` and `model_kinds_files`. Those that say `exports` can
be compiled as well: `build()` is the module, and `requests` are examples of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch

# The inputs of a request by name; one that is optional may lack.
Request = Mapping[str, torch.Tensor | list[str]]
Settings = Mapping[str, bool | int | str | Sequence[int]]

DTYPES = {
    "BOOL": torch.bool,
    "UINT8": torch.uint8,
    "INT32": torch.int32,
    "INT64": torch.int64,
    "FP16": torch.float16,
    "BF16": torch.bfloat16,
    "FP32": torch.float32,
    "FP64": torch.float64,
}


@dataclass(frozen=True)
class Spec:
    """One input or output as model.toml has it."""

    name: str
    dtype: str
    shape: Sequence[int]
    settings: Settings = field(default_factory=dict)


def spec(text: str, **settings: bool | int | str | Sequence[int]) -> Spec:
    """spec("x FP32 -1 4"): name, type and extents."""
    name, dtype, *extents = text.split()
    return Spec(name, dtype, [int(extent) for extent in extents], settings)


def script(module: torch.nn.Module, file: Path) -> None:
    """The way of saving that most kinds have."""
    torch.jit.script(module).save(str(file))


def positional(module: torch.nn.Module, request: Request) -> Any:
    """The way of calling that most kinds have: the inputs in their order."""
    return module(*request.values())


def in_order(returned: Any) -> list[Any]:
    """What a module returned, in the order of the outputs: nested tuples and lists of tensors unfolded."""
    if isinstance(returned, (tuple, list)) and not (returned and isinstance(returned[0], (str, int, float, bool))):
        return [leaf for part in returned for leaf in in_order(part)]
    return [returned]


@dataclass(frozen=True)
class Kind:
    """A small module, and how it is served. Its name is the model's."""

    name: str
    # Called with a fixed seed. The module is put into eval mode.
    make: Callable[[], torch.nn.Module]
    inputs: Sequence[Spec]
    outputs: Sequence[Spec]
    # One row each, if the model is batched.
    requests: Sequence[Request]
    # Further keys of model.toml.
    settings: Settings = field(default_factory=dict)
    call: Callable[[torch.nn.Module, Request], Any] = positional
    # What a call returned, as the outputs in their order; None for one that is not there.
    select: Callable[[Any], Sequence[Any]] = in_order
    save: Callable[[torch.nn.Module, Path], None] = script
    # How far an answer may be from eager's, relative to its largest element; 0: not at all.
    tolerance: float = 0.0
    # Whether torch.export takes the module with these requests, so that it can be compiled as well.
    exports: bool = False
    # What the log says of why it is not served.
    fails: str = ""
    # What the log says of why its requests fail.
    error: str = ""
    # What the log warns of when it is ready.
    warns: str = ""

    def build(self) -> torch.nn.Module:
        """The module, always with the same weights."""
        torch.manual_seed(7)
        return self.make().eval()

    def toml(self) -> str:
        """The text of its model.toml."""
        lines = [f"{key} = {toml_value(value)}" for key, value in self.settings.items()]
        for table, specs in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not specs:
                lines.append(f"{table} = []")
            for entry in specs:
                lines += [f"[[{table}]]", f'name = "{entry.name}"', f'dtype = "{entry.dtype}"']
                lines.append(f"shape = {toml_value(entry.shape)}")
                lines += [f"{key} = {toml_value(value)}" for key, value in entry.settings.items()]
        return "\n".join(lines) + "\n"

    def export(self, repository: Path) -> None:
        """Writes the model's folder with version 1."""
        folder = repository / self.name
        (folder / "1").mkdir(parents=True)
        (folder / "model.toml").write_text(self.toml(), encoding="utf-8")
        self.save(self.build(), folder / "1/model.pt")

    def batched(self) -> bool:
        return bool(self.settings.get("batched", True))

    def expected(self, request: Request) -> dict[str, numpy.ndarray | list[str]]:
        """The outputs by name, as eager PyTorch computes them. Nothing of it is kept for the next request."""
        copies = {
            name: value.clone() if isinstance(value, torch.Tensor) else list(value) for name, value in request.items()
        }
        returned = self.select(self.call(self.build(), copies))
        return {
            entry.name: to_array(value, entry)
            for entry, value in zip(self.outputs, returned, strict=False)
            if value is not None
        }


def to_array(value: Any, entry: Spec) -> numpy.ndarray | list[str]:
    """What eager returned, as the output that it is served as."""
    if entry.dtype == "BYTES":
        return [value] if isinstance(value, str) else list(value)
    tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=DTYPES[entry.dtype])
    tensor = tensor.detach().resolve_conj().resolve_neg()
    assert tensor.dtype == DTYPES[entry.dtype], f"{entry.name} is {tensor.dtype}, model.toml says {entry.dtype}"
    array = tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()
    return array.reshape([1] * len(entry.shape)) if array.ndim == 0 else array


def toml_value(value: bool | int | str | Sequence[int]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if isinstance(value, int) else f"[{', '.join(map(str, value))}]"


def rows(*values: Sequence[float] | float, name: str = "x") -> list[Request]:
    """A request of one row of floats for each value."""
    return [{name: torch.tensor([value], dtype=torch.float32)} for value in values]
