"""Some classes of tokenizers rebuild the steps that cut a text from their settings, whatever tokenizer.json says.

This is so in transformers from version 5 on; before, the file counted. Models are compared with the installed version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from generator_export.errors import ExportError
from generator_export.json_document import JsonDocument

# Classes that write spaces as SentencePiece does, and classes that write bytes as characters.
METASPACE_CLASSES = ("LlamaTokenizer", "CodeLlamaTokenizer")
BYTE_LEVEL_CLASSES = ("GPT2Tokenizer", "Qwen2Tokenizer")
_SPACE = "▁"


def is_legacy(settings: JsonDocument, class_name: str | None) -> bool:
    """Whether the text after every special token begins with a space, as a whole text does, and not only the first.
    `class_name` is what the settings name."""
    if class_name == "CodeLlamaTokenizer":
        return False
    # The default is only for a missing key: in transformers, null means false.
    if "legacy" in settings.values:
        return _flag(settings, "legacy", False)
    return class_name != "LlamaTokenizer"


def rebuilt_steps(file: Mapping[str, Any], settings: JsonDocument, class_name: str | None) -> dict[str, Any]:
    """The replacements for parts of `file`, which is a tokenizer.json; `settings` is tokenizer_config.json."""
    byte_level = list(_byte_level_steps(file.get("pre_tokenizer")))
    if class_name in METASPACE_CLASSES and not byte_level and _SPACE in file["model"]["vocab"]:
        return _metaspace(settings, class_name)
    if class_name in BYTE_LEVEL_CLASSES:
        prefix = _flag(settings, "add_prefix_space", False)
        if any(step.get("add_prefix_space", True) is not prefix for step in byte_level):
            return {"pre_tokenizer": _with_prefix(file["pre_tokenizer"], prefix)}
    return {}


def _metaspace(settings: JsonDocument, class_name: str | None) -> dict[str, Any]:
    prefix = _flag(settings, "add_prefix_space", True)
    scheme = "never" if not prefix else "always" if is_legacy(settings, class_name) else "first"
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefix or class_name == "CodeLlamaTokenizer":
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": scheme, "split": False},
        "decoder": {"type": "Sequence", "decoders": decoders},
    }


def _byte_level_steps(step: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, dict):
        steps = step.get("pretokenizers")
        for each in steps if isinstance(steps, list) else ():
            yield from _byte_level_steps(each)
        if step.get("type") == "ByteLevel":
            yield step


def _with_prefix(step: Any, prefix: bool) -> Any:
    if not isinstance(step, dict):
        return step
    if step.get("type") == "ByteLevel":
        return {**step, "add_prefix_space": prefix}
    steps = step.get("pretokenizers")
    return (
        {**step, "pretokenizers": [_with_prefix(each, prefix) for each in steps]} if isinstance(steps, list) else step
    )


def _flag(settings: JsonDocument, key: str, default: bool) -> bool:
    value = settings.values.get(key)
    if value is not None and not isinstance(value, bool):
        raise ExportError(f"{settings.path}: {key} is {value!r}, not true or false")
    return default if value is None else value
