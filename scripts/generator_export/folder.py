"""Writes a generator folder: model.toml, and in the version's folder the module and what goes with the text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from model_folder import toml_value, write_atomically, write_text
from torch import nn

from generator_export.chat_template import chat_template_json
from generator_export.checkpoint import Checkpoint
from generator_export.errors import ExportError
from generator_export.fused_layout import build_fused_decoder, misfit
from generator_export.kernels import load_kernels
from generator_export.layout import build_decoder
from generator_export.matrix import Format
from generator_export.options import DEFAULT_LENGTH, FolderOptions
from generator_export.source import Source
from generator_export.weights import Weights


@dataclass(frozen=True)
class Written:
    # In the folder.
    files: list[str]
    # Whether the module uses the project's own operators.
    fused: bool
    # Why not, although it was to.
    misfit: str | None
    # What the weights lost, a line for each kind.
    losses: list[str]


def write_generator(source: Source, folder: Path, options: FolderOptions) -> Written:
    """Writes all files. What can be refused is refused before anything is written."""
    context = source.checkpoint.architecture.context_length
    max_length = options.max_length or min(context, DEFAULT_LENGTH)
    if max_length > context:
        raise ExportError(f"{source.checkpoint.source}: positions end at {context}, before --max-length {max_length}")
    settings = _generator_toml(source, max_length, options)
    files = dict(source.text.files)
    template = source.text.chat_template
    if template is not None:
        tree = chat_template_json(source.checkpoint.source, template, source.text.bos_token, source.text.eos_token)
        files |= {"chat_template.jinja": template.encode(), "chat_template.json": tree}
    reason = misfit(source.checkpoint.architecture) if options.fused else None
    fused = options.fused and reason is None
    decoder, losses = _fused(source.checkpoint, options) if fused else (build_decoder(source.checkpoint), [])
    module = torch.jit.script(decoder)
    # A server that watches sees a version once there is its model, and a model once there are its settings.
    version = folder / str(options.version)
    for name, data in files.items():
        write_atomically(version / name, lambda partial, data=data: partial.write_bytes(data))
    write_atomically(version / "model.pt", lambda partial: module.save(str(partial)))
    write_text(folder / "model.toml", settings)
    names = ["model.toml", *(f"{options.version}/{name}" for name in ("model.pt", *files))]
    return Written(names, fused, reason, losses)


def _fused(checkpoint: Checkpoint, options: FolderOptions) -> tuple[nn.Module, list[str]]:
    load_kernels(options.kernels)
    weights = Weights(checkpoint, None if options.weights == "source" else Format[options.weights.upper()])
    decoder = build_fused_decoder(checkpoint, weights, half_cache=options.cache == "f16")
    return decoder, weights.losses()


def _generator_toml(source: Source, max_length: int, options: FolderOptions) -> str:
    text = source.text
    if not text.end_token_ids:
        raise ExportError(f"{source.checkpoint.source}: does not say which token ends an answer")
    settings = {
        "vocabulary_size": source.checkpoint.architecture.vocabulary_size,
        "max_length": max_length,
        "slots": options.slots,
        "end_token_ids": text.end_token_ids,
        "add_bos": text.leading_token_id is not None,
    }
    if text.leading_token_id is not None:
        settings["bos_token_id"] = text.leading_token_id
    description = options.description or source.checkpoint.name
    lines = [f"description = {toml_value(description)}", 'kind = "generator"', "", "[generator]"]
    return "\n".join([*lines, *(f"{key} = {toml_value(value)}" for key, value in settings.items())]) + "\n"
