"""The tensors of a Hugging Face folder: in *.safetensors or in PyTorch's own files, one or several."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy
import torch
from safetensors import SafetensorError, safe_open

from generator_export.checkpoint import StoredTensor
from generator_export.errors import ExportError
from generator_export.json_document import JsonDocument

# The types of the tensors, as the files name them.
DTYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_TORCH_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}
# Files with the same model in another layout, with what was trained beside it, and with what belongs to its training.
OTHER_FILES = ("consolidated", "adapter", "optimizer", "scheduler", "training_args", "rng_state", "scaler")
# These follow from the configuration; older files contain them for each layer.
COMPUTED = "rotary_emb.inv_freq"


def stored_tensors(folder: Path) -> Iterable[StoredTensor]:
    """Yields each name once. Of files that an index names, the last one counts, whichever the index says, as in
    transformers. Files without an index are not read by transformers: two of them with one name may belong to two
    models."""
    for stem, kind, read in (("model", "safetensors", _safetensors), ("pytorch_model", "bin", _torch_file)):
        files = _files(folder, stem, kind)
        indexed = (folder / f"{stem}.{kind}.index.json").exists()
        found: dict[str, StoredTensor] = {}
        for file in files:
            for tensor in read(file):
                if tensor.name in found and not indexed:
                    raise ExportError(f"{file}: has tensor {tensor.name}, as another has: no index says which counts")
                found[tensor.name] = tensor
        if files:
            return found.values()
    raise ExportError(_what_else(folder))


def _files(folder: Path, stem: str, kind: str) -> list[Path]:
    """The one file with everything, the files that the index names, or else all that are not another layout of the same
    model."""
    whole = folder / f"{stem}.{kind}"
    if whole.exists():
        return [whole]
    index = folder / f"{stem}.{kind}.index.json"
    if index.exists():
        names = JsonDocument(index).get("weight_map", dict)
        if not names or not all(isinstance(name, str) for name in names.values()):
            raise ExportError(f"{index}: weight_map is not a list of tensors and their files")
        files = [folder / name for name in sorted(set(names.values()))]
        missing = next((file for file in files if not file.exists()), None)
        if missing:
            raise ExportError(f"{missing}: there is no such file, and {index.name} says that it has tensors")
        return files
    files = sorted(folder.glob(f"*.{kind}"))
    return [file for file in files if not file.name.startswith(OTHER_FILES)]


def _what_else(folder: Path) -> str:
    if (folder / "adapter_config.json").exists():
        return (
            f"{folder}: is an adapter (LoRA) and no model: merge it into its model with peft's merge_and_unload, and"
            " save that"
        )
    names = sorted(file.name for file in folder.glob("*") if file.suffix in (".gguf", ".pth", ".h5", ".msgpack"))
    if (folder / "consolidated.safetensors").exists():
        names = ["consolidated.safetensors"]
    beside = f"; {names[0]} is in another layout, which is not supported from here" if names else ""
    if names and names[0].endswith(".gguf"):
        beside = f"; export {folder / names[0]} itself"
    return f"{folder}: there are no .safetensors files and no pytorch_model.bin{beside}"


def _safetensors(file: Path) -> Iterator[StoredTensor]:
    try:
        with safe_open(file, framework="numpy") as opened:
            for name in opened.keys():  # noqa: SIM118  # This is no dict.
                view = opened.get_slice(name)
                if not name.endswith(COMPUTED):
                    _check(file, name, view.get_dtype())
                    shape = tuple(view.get_shape())
                    yield StoredTensor(name, shape, view.get_dtype(), partial(_read, file, name), lambda: None)
    except (OSError, SafetensorError) as error:
        lfs = file.stat().st_size < 1024 and file.read_bytes().startswith(b"version https://git-lfs")
        pointer = "is a pointer of Git LFS and no model: `git lfs pull` brings the file"
        raise ExportError(f"{file}: {pointer if lfs else error}") from None


def _check(file: Path, name: str, dtype: str) -> None:
    if dtype not in DTYPES:
        raise ExportError(
            f"{file}: tensor {name} is {dtype}, which is not supported; these are: {', '.join(DTYPES)}. A quantised"
            " model has to be exported from what it was made of, or as GGUF"
        )


def _read(file: Path, name: str) -> numpy.ndarray:
    # Through PyTorch, because numpy has no bfloat16.
    with safe_open(file, framework="pt") as opened:
        return opened.get_tensor(name).float().numpy()


def _torch_file(file: Path) -> Iterator[StoredTensor]:
    """Only tensors are read: a file of pickled objects could do anything."""
    try:
        try:
            state = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
        except RuntimeError:
            # The file is from before they were archives.
            state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise ExportError(f"{file}: cannot be read as tensors alone: {reason}") from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ExportError(f"{file}: is not a dictionary of tensors")
    for name, tensor in state.items():
        if not name.endswith(COMPUTED):
            dtype = _TORCH_DTYPES.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
            _check(file, name, dtype)
            yield StoredTensor(name, tuple(tensor.shape), dtype, partial(_as_floats, tensor), lambda: None)


def _as_floats(tensor: torch.Tensor) -> numpy.ndarray:
    return tensor.detach().float().numpy()
