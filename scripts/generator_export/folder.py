"""Writes a generator folder: model.toml and, in the version's folder, the module and what belongs to the text."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from generator_export.chat_template import chat_template_json
from generator_export.checkpoint import Checkpoint
from generator_export.errors import ExportError
from generator_export.fused_layout import build_fused_decoder, misfit
from generator_export.kernels import load_kernels
from generator_export.layout import build_decoder
from generator_export.matrix import Format
from generator_export.options import DEFAULT_LENGTH, FolderOptions
from generator_export.server_check import check_by_server
from generator_export.source import Source
from generator_export.weights import Weights
from model_folder import TomlValue, move_into_place, toml_value


@dataclass(frozen=True)
class Written:
    # The names of the files in the folder.
    files: list[str]
    # Whether the module uses the project's own operators.
    fused: bool
    # Why it does not, although the options ask for them.
    misfit: str | None
    # What the weights lost, a line for each kind.
    losses: list[str]
    # What else the user should know.
    notes: list[str]


def write_generator(source: Source, folder: Path, options: FolderOptions, server: Path | None = None) -> Written:
    """Writes all files or none: they are made beside their final places. If there is a `server`, it checks them."""
    max_length, notes = _max_length(source, options)
    settings = _generator_toml(source, max_length, options, notes)
    files = {**source.text.files, **_template_files(source, options)}
    new_folders = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # It is within the folder, so that only moves are left to do; no version can have this name.
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as made:
            written = _make(source, Path(made), settings, files, options, server)
            # A server that watches the folder notices a version when its model is there, and a model when its settings
            # are there.
            names = [*(f"{options.version}/{name}" for name in (*files, "model.pt")), "model.toml"]
            for name in names:
                move_into_place(Path(made, name), folder / name)
            _remove_stale(folder / str(options.version), {*files, "model.pt"})
    except BaseException:
        if new_folders:
            shutil.rmtree(new_folders[-1], ignore_errors=True)
        raise
    notes = [*source.text.notes, *notes]
    return Written([names[-1], names[-2], *names[:-2]], *written, notes)


def _make(
    source: Source,
    made: Path,
    settings: str,
    files: Mapping[str, bytes],
    options: FolderOptions,
    server: Path | None,
) -> tuple[bool, str | None, list[str]]:
    version = made / str(options.version)
    version.mkdir()
    for name, data in files.items():
        (version / name).write_bytes(data)
    (made / "model.toml").write_text(settings, encoding="utf-8")
    if server is not None:
        # This comes before the weights, which take time. The contents of the file are not looked at.
        (version / "model.pt").touch()
        check_by_server(server, made, source.checkpoint.source)
    reason = misfit(source.checkpoint) if options.fused else None
    fused = options.fused and reason is None
    decoder, losses = _fused(source.checkpoint, options) if fused else (build_decoder(source.checkpoint), [])
    torch.jit.script(decoder).save(str(version / "model.pt"))
    return fused, reason, losses


# Files that an earlier export with another kind of tokenizer or template may have left.
_STALE = ("tokenizer.json", "tokenizer.model", "chat_template.jinja", "chat_template.json")


def _remove_stale(version: Path, written: set[str]) -> None:
    for name in _STALE:
        if name not in written:
            (version / name).unlink(missing_ok=True)


def _max_length(source: Source, options: FolderOptions) -> tuple[int, list[str]]:
    """The length, and what the user should know about it."""
    context = source.checkpoint.architecture.context
    if options.max_length is None:
        shortened = context.shortened and context.length < DEFAULT_LENGTH
        notes = [f"max_length is {context.length}: {context.reason}"] if shortened else []
        return min(context.length, DEFAULT_LENGTH), notes
    if options.max_length > context.length:
        reason = f" ({context.reason})" if context.reason else ""
        raise ExportError(
            f"{source.checkpoint.source}: positions end at {context.length}, before --max-length"
            f" {options.max_length}{reason}"
        )
    return options.max_length, []


def _template_files(source: Source, options: FolderOptions) -> dict[str, bytes]:
    template = source.text.chat_template if options.chat_template is None else options.chat_template
    if not template:
        return {}
    text = source.text
    tree = chat_template_json(source.checkpoint.source, template, text.bos_token, text.eos_token, text.more_tokens)
    return {"chat_template.jinja": template.encode(), "chat_template.json": tree}


def _fused(checkpoint: Checkpoint, options: FolderOptions) -> tuple[nn.Module, list[str]]:
    load_kernels(options.kernels)
    weights = Weights(checkpoint, None if options.weights == "source" else Format[options.weights.upper()])
    decoder = build_fused_decoder(checkpoint, weights, half_cache=options.cache == "f16")
    return decoder, weights.losses()


def _generator_toml(source: Source, max_length: int, options: FolderOptions, notes: list[str]) -> str:
    text = source.text
    if not text.end_token_ids:
        notes.append("the model does not say which token ends an answer: max_tokens and stop strings do")
    settings: dict[str, TomlValue] = {
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
    lines += [f"{key} = {toml_value(value)}" for key, value in settings.items()]
    if text.defaults:
        lines += ["", "[generator.defaults]"]
        lines += [f"{key} = {toml_value(value)}" for key, value in text.defaults.items()]
    return "\n".join(lines) + "\n"
