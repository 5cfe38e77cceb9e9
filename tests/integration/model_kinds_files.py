"""Kinds of models by how they were saved, and files that are none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Tuple

import torch
from torch import Tensor, nn

from model_kinds import Kind, spec
from model_kinds_arguments import ALONE, XS, Plain, X, Y

ZEROS = torch.zeros(2, 4)


class Branches(nn.Module):
    """Has all that ways of saving treat in their own way: methods, constants, buffers, layers of training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5))
        self.register_buffer("offset", torch.arange(4.0))

    def shift(self, x: Tensor) -> Tensor:
        return x + self.offset

    def forward(self, x: Tensor) -> Tensor:
        return self.shift(self.layers(x)) * 2


class Dropped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(x)


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class ByName(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return {"z": x * 3, "y": x * 2}


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(4.0)


class Hooked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_forward_hook(after)
        self.register_forward_pre_hook(before)

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def before(self: Any, input: Tuple[Tensor]) -> Tuple[Tensor]:
    return (input[0] * 10,)


def after(self: Any, input: Tuple[Tensor], output: Tensor) -> Tensor:
    return output * 3


def function(x: Tensor) -> Tensor:
    return x * 5


def save_function(_: nn.Module, file: Path) -> None:
    torch.jit.script(function).save(str(file))


def trace(module: nn.Module, file: Path) -> None:
    torch.jit.trace(module, ZEROS, strict=False, check_trace=False).save(str(file))


def trace_in_training(module: nn.Module, file: Path) -> None:
    trace(module.train(), file)


def script_in_training(module: nn.Module, file: Path) -> None:
    torch.jit.script(module.train()).save(str(file))


def freeze(module: nn.Module, file: Path) -> None:
    torch.jit.freeze(torch.jit.script(module)).save(str(file))


def optimize(module: nn.Module, file: Path) -> None:
    torch.jit.optimize_for_inference(torch.jit.script(module)).save(str(file))


def save_for_mobile(module: nn.Module, file: Path) -> None:
    torch.jit.script(module)._save_for_lite_interpreter(str(file))


def save_flatbuffer(module: nn.Module, file: Path) -> None:
    torch.jit.script(module)._save_for_lite_interpreter(str(file), _use_flatbuffer=True)


def save_with_extra_files(module: nn.Module, file: Path) -> None:
    torch.jit.script(module).save(str(file), _extra_files={"labels.txt": "cat\ndog"})


def dynamic_quantised() -> nn.Module:
    layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)).eval()
    return torch.ao.quantization.quantize_dynamic(layers, {nn.Linear}, dtype=torch.qint8)


def state_dict(module: nn.Module, file: Path) -> None:
    torch.save(module.state_dict(), file)


def checkpoint(module: nn.Module, file: Path) -> None:
    torch.save({"epoch": 3, "model": module.state_dict()}, file)


def pickled(module: nn.Module, file: Path) -> None:
    torch.save(module, file)


def old_state_dict(module: nn.Module, file: Path) -> None:
    torch.save(module.state_dict(), file, _use_new_zipfile_serialization=False)


def exported(module: nn.Module, file: Path) -> None:
    torch.export.save(torch.export.export(module, (ZEROS,)), file.with_suffix(".pt2"))
    file.with_suffix(".pt2").rename(file)


def bytes_of(content: bytes) -> Callable[[nn.Module, Path], None]:
    return lambda _, file: file.write_bytes(content) and None


def cut_off(module: nn.Module, file: Path) -> None:
    torch.jit.script(module).save(str(file))
    file.write_bytes(file.read_bytes()[:-500])


FILE_KINDS = [
    Kind("scripted", Branches, [X], [Y], XS, tolerance=1e-6),
    Kind("scripted_in_training", Branches, [X], [Y], XS, save=script_in_training, tolerance=1e-6),
    Kind("traced", Branches, [X], [Y], XS, save=trace, tolerance=1e-6),
    Kind("traced_constant", Constant, [X], [Y], XS, save=trace),
    Kind("traced_dict", ByName, [X], [Y, spec("z FP32 -1 4")], XS, save=trace, select=lambda r: [r["y"], r["z"]]),
    Kind("frozen", Branches, [X], [Y], XS, save=freeze, tolerance=1e-6),
    Kind("optimized", Plain, [X], [Y], XS, save=optimize, tolerance=1e-6),
    Kind("for_mobile", Branches, [X], [Y], XS, save=save_for_mobile, tolerance=1e-6),
    Kind("extra_files", Branches, [X], [Y], XS, save=save_with_extra_files, tolerance=1e-6),
    Kind("function", nn.Identity, [X], [Y], XS, save=save_function, call=lambda _, r: function(r["x"])),
    Kind("hooks", Hooked, [X], [Y], XS),
    Kind("quantised_layers", dynamic_quantised, [X], [Y], XS, ALONE, tolerance=1e-6),
    Kind(
        "traced_dropout",
        Dropped,
        [X],
        [Y],
        [],
        {"response_cache_bytes": 100_000},
        save=trace_in_training,
        warns="answers are random: it calls aten::dropout in training mode; response_cache_bytes is not used",
    ),
    Kind(
        "traced_batch_norm",
        Normalised,
        [X],
        [Y],
        [],
        save=trace_in_training,
        warns="answers depend on earlier requests.* in place",
    ),
    Kind("fails_state_dict", Plain, [X], [Y], [], save=state_dict, fails="a dict of weights that torch.save wrote"),
    Kind("fails_checkpoint", Plain, [X], [Y], [], save=checkpoint, fails="a dict of weights that torch.save wrote"),
    Kind("fails_pickle", Plain, [X], [Y], [], save=pickled, fails="a pickled model_kinds_arguments.Plain"),
    Kind("fails_old_pickle", Plain, [X], [Y], [], save=old_state_dict, fails="torch.save wrote before version 1.6"),
    Kind(
        "fails_export", Plain, [X], [Y], [], save=exported, fails="torch.export.save wrote.*call the package model.pt2"
    ),
    Kind("fails_flatbuffer", Plain, [X], [Y], [], save=save_flatbuffer, fails="a flatbuffer"),
    Kind("fails_empty", Plain, [X], [Y], [], save=bytes_of(b""), fails="an empty file"),
    Kind(
        "fails_lfs",
        Plain,
        [X],
        [Y],
        [],
        save=bytes_of(b"version https://git-lfs.github.com/spec/v1\n"),
        fails="Git LFS",
    ),
    Kind("fails_text", Plain, [X], [Y], [], save=bytes_of(b"<html>not found</html>"), fails="no TorchScript file"),
    Kind("fails_cut_off", Plain, [X], [Y], [], save=cut_off, fails="it is cut off"),
]
