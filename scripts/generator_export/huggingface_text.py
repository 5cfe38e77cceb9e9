"""The parts of a Hugging Face folder that belong to the text: tokenizer, chat template, special tokens, sampling
defaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from generator_export.end_tokens import end_token_ids
from generator_export.errors import ExportError
from generator_export.huggingface_tokenizer import HuggingFaceTokenizer, read_tokenizer
from generator_export.json_document import JsonDocument
from generator_export.sampling_defaults import from_generation_config
from generator_export.source import TextSide
from generator_export.special_tokens import SpecialTokens, read_special_tokens, tokenizer_class

# Classes that put a token before every text unless told not to, and those that do so only if told to. Other classes
# follow tokenizer.json.
_LEADING_BY_DEFAULT = ("LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer")
_LEADING_IF_ASKED = ("GPTNeoXTokenizer",)
# The class of a tokenizer.model, and of a vocabulary and merges, if it is not named.
_SENTENCEPIECE_CLASS, _VOCABULARY_CLASSES = "LlamaTokenizer", {"qwen2": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer"}
# Models that end with a certain token if no file names one.
_DEFAULT_ENDS = {"llama": 2, "mistral": 2}


def huggingface_text(folder: Path, config: JsonDocument, vocabulary_size: int) -> TextSide:
    """`config` is the folder's config.json."""
    settings = folder / "tokenizer_config.json"
    tokenizer_config = JsonDocument(settings) if settings.exists() else JsonDocument.empty(settings)
    class_name = tokenizer_class(tokenizer_config)
    if class_name is None and not (folder / "tokenizer.json").exists():
        by_type = _VOCABULARY_CLASSES.get(config.get("model_type", str))
        class_name = _SENTENCEPIECE_CLASS if (folder / "tokenizer.model").exists() else by_type
    special = read_special_tokens(folder, tokenizer_config, class_name)
    tokenizer = read_tokenizer(folder, tokenizer_config, special, class_name, vocabulary_size)
    notes = list(tokenizer.notes)
    if tokenizer_config.values.get("add_eos_token") is True:
        notes.append("add_eos_token asks for an end behind every text, which nothing could continue: left out")
    generation = _generation_config(folder)
    defaults, more_notes = from_generation_config(generation.values)
    return TextSide(
        files={tokenizer.name: tokenizer.content},
        chat_template=_chat_template(folder, tokenizer_config, notes),
        bos_token=_role(special, tokenizer, "bos_token"),
        eos_token=_role(special, tokenizer, "eos_token"),
        more_tokens={
            role: text
            for role, text in special.roles.items()
            if role not in ("bos_token", "eos_token") and text in tokenizer.tokens
        },
        leading_token_id=_leading_token_id(class_name, config, tokenizer_config, special, tokenizer),
        end_token_ids=_end_token_ids(config, generation, special, tokenizer, vocabulary_size, notes),
        defaults=defaults,
        notes=[*notes, *more_notes],
    )


def _generation_config(folder: Path) -> JsonDocument:
    file = folder / "generation_config.json"
    return JsonDocument(file) if file.exists() else JsonDocument.empty(file)


def _role(special: SpecialTokens, tokenizer: HuggingFaceTokenizer, role: str) -> str:
    text = special.roles.get(role, "")
    return text if text in tokenizer.tokens else ""


def _chat_template(folder: Path, tokenizer_config: JsonDocument, notes: list[str]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.exists():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ExportError(f"{file}: {error}") from None
    template = tokenizer_config.values.get("chat_template")
    if template is None and (folder / "chat_template.json").exists():
        template = JsonDocument(folder / "chat_template.json").values.get("chat_template")
    # There are several templates with names: for tools, for retrieval.
    if isinstance(template, list):
        template = {str(each.get("name")): each.get("template") for each in template if isinstance(each, dict)}
    if isinstance(template, dict):
        if "default" not in template:
            names = ", ".join(sorted(map(str, template)))
            notes.append(f"of the chat templates, {names}, none is the default: left out; --chat-template gives one")
        template = template.get("default")
    if template is not None and not isinstance(template, str):
        raise ExportError(f"{tokenizer_config.path}: chat_template is not a text")
    return template or None


def _leading_token_id(
    class_name: str | None,
    config: JsonDocument,
    tokenizer_config: JsonDocument,
    special: SpecialTokens,
    tokenizer: HuggingFaceTokenizer,
) -> int | None:
    """The token that goes before every prompt."""
    leading = tokenizer.leading
    flag = tokenizer_config.values.get("add_bos_token")
    if flag is not None and not isinstance(flag, bool):
        raise ExportError(f"{tokenizer_config.path}: add_bos_token is {flag!r}, not true or false")
    if class_name in _LEADING_BY_DEFAULT:
        # The file takes precedence over the class, and the settings take precedence over the file.
        adds = flag if flag is not None else leading is None or len(leading) > 0
    elif class_name in _LEADING_IF_ASKED:
        adds = flag is True
    else:
        adds = bool(leading)
    if not adds:
        return None
    if leading and len(leading) > 1:
        raise ExportError(f"{tokenizer_config.path.parent}: puts {len(leading)} tokens before a text; one is supported")
    if leading:
        return leading[0]
    found = tokenizer.tokens.get(special.roles.get("bos_token", ""))
    named = config.values.get("bos_token_id")
    return named if found is None and isinstance(named, int) else found


def _end_token_ids(
    config: JsonDocument,
    generation: JsonDocument,
    special: SpecialTokens,
    tokenizer: HuggingFaceTokenizer,
    vocabulary_size: int,
    notes: list[str],
) -> Sequence[int]:
    named: list[int] = []
    for document in (config, generation):
        value = document.values.get("eos_token_id")
        for each in value if isinstance(value, list) else [] if value is None else [value]:
            if not isinstance(each, int) or isinstance(each, bool):
                raise ExportError(f"{document.path}: eos_token_id is {value!r}, not a token id or a list of them")
            if 0 <= each < vocabulary_size:
                named.append(each)
            elif each >= 0:
                notes.append(
                    f"{document.path.name}: eos_token_id {each} is none of the {vocabulary_size} tokens: left out"
                )
    end = tokenizer.tokens.get(special.roles.get("eos_token", ""))
    if end is not None:
        named.append(end)
    found = end_token_ids(named, tokenizer.special)
    default = _DEFAULT_ENDS.get(config.get("model_type", str), vocabulary_size)
    return found or ([default] if default < vocabulary_size and "eos_token_id" not in config.values else [])
