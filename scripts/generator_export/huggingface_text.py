"""What of a Hugging Face folder goes with the text: tokenizer, chat template, special tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from generator_export.errors import ExportError
from generator_export.json_document import JsonDocument
from generator_export.source import TextSide

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model")


def huggingface_text(folder: Path, config: JsonDocument) -> TextSide:
    """`config` is the folder's config.json."""
    name = next((name for name in TOKENIZER_FILES if (folder / name).exists()), None)
    if name is None:
        raise ExportError(f"{folder}: there is neither a tokenizer.json nor a tokenizer.model")
    tokenizer_config = JsonDocument(folder / "tokenizer_config.json")
    return TextSide(
        files={name: (folder / name).read_bytes()},
        chat_template=_chat_template(folder, tokenizer_config),
        bos_token=_token_text(tokenizer_config, "bos_token"),
        eos_token=_token_text(tokenizer_config, "eos_token"),
        leading_token_id=_leading_token_id(folder / name, config, tokenizer_config),
        end_token_ids=_end_token_ids(folder, config),
    )


def _token_text(tokenizer_config: JsonDocument, key: str) -> str:
    """A token is a string, or an object with its properties."""
    token = tokenizer_config.values.get(key)
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _chat_template(folder: Path, tokenizer_config: JsonDocument) -> str | None:
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    template = tokenizer_config.values.get("chat_template")
    # Several with names: for tools, for retrieval.
    if isinstance(template, list):
        template = next((each.get("template") for each in template if each.get("name") == "default"), None)
    return template


def _leading_token_id(file: Path, config: JsonDocument, tokenizer_config: JsonDocument) -> int | None:
    """The token that goes before every prompt: what a tokenizer.json itself puts there, or what the settings say."""
    if file.suffix == ".json":
        return _template_start(JsonDocument(file))
    if not tokenizer_config.get("add_bos_token", bool, True):
        return None
    return config.get("bos_token_id", int)


def _template_start(tokenizer: JsonDocument) -> int | None:
    processor = tokenizer.values.get("post_processor") or {}
    for each in processor.get("processors", [processor]):
        if each.get("type") != "TemplateProcessing":
            continue
        before = []
        for piece in each["single"]:
            if "Sequence" in piece:
                break
            before += each["special_tokens"][piece["SpecialToken"]["id"]]["ids"]
        if len(before) > 1:
            raise ExportError(f"{tokenizer.path}: puts {len(before)} tokens before a text; only one is supported")
        return before[0] if before else None
    return None


def _end_token_ids(folder: Path, config: JsonDocument) -> Sequence[int]:
    settings = folder / "generation_config.json"
    ids = JsonDocument(settings).values.get("eos_token_id") if settings.exists() else None
    if ids is None:
        ids = config.values.get("eos_token_id")
    if ids is None:
        return []
    return sorted(set(ids)) if isinstance(ids, list) else [ids]
