"""Which tokens of a Hugging Face folder are more than text. Besides the tokenizer's own file, tokenizer_config.json,
special_tokens_map.json and added_tokens.json say it, and transformers heeds them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generator_export.errors import ExportError
from generator_export.json_document import JsonDocument

# The tokens that have a role, by their keys.
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# Lists of tokens without a role, or objects with the model's own roles.
_MORE = ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")
# The ending of the model's own roles that stand beside the others.
_ROLE_SUFFIX = "_token"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
# The names that classes of tokenizers use if the folder does not say.
BY_CLASS = {
    "LlamaTokenizer": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "CodeLlamaTokenizer": {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "prefix_token": "▁<PRE>",
        "middle_token": "▁<MID>",
        "suffix_token": "▁<SUF>",
        "eot_token": "▁<EOT>",
        "fill_token": "<FILL_ME>",
    },
    "GemmaTokenizer": {
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    },
    "Qwen2Tokenizer": dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>"),
    "GPT2Tokenizer": dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
}


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in texts before anything else is done to them."""

    text: str
    special: bool
    # single_word, lstrip, rstrip and normalized, as in tokenizer.json.
    flags: Mapping[str, bool]
    # Set if the folder gives it.
    token_id: int | None = None
    # Whether these flags take precedence over those in the tokenizer's own file.
    overrides: bool = False

    def as_json(self, token_id: int, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`old` is the token in the tokenizer's own file."""
        if old is not None and not self.overrides:
            return {**old, "special": self.special or old.get("special") is True}
        return {"id": token_id, "content": self.text, **self.flags, "special": self.special}


@dataclass(frozen=True)
class SpecialTokens:
    # By role: the roles that every model may have, and the model's own.
    roles: Mapping[str, str]
    # By text, in the order in which they get ids if they have none.
    added: Mapping[str, AddedToken]


def tokenizer_class(tokenizer_config: JsonDocument) -> str | None:
    """The name of the class; fast and slow tokenizers of a kind share one name."""
    name = tokenizer_config.get("tokenizer_class", str, "")
    return name.removesuffix("Fast") or None


def read_special_tokens(folder: Path, tokenizer_config: JsonDocument, class_name: str | None) -> SpecialTokens:
    settings = dict(tokenizer_config.values)
    decoder = settings.get("added_tokens_decoder")
    added: dict[str, AddedToken] = {}
    special_map = _optional(folder / "special_tokens_map.json")
    if isinstance(decoder, dict):
        for token_id, entry in decoder.items():
            token = _token(tokenizer_config.path, entry, int(token_id) if token_id.isdecimal() else None)
            added[token.text] = replace(token, overrides=True)
    else:
        # The folder is from before that key existed.
        settings |= special_map
        for text, token_id in _optional(folder / "added_tokens.json").items():
            if not isinstance(token_id, int) or isinstance(token_id, bool) or token_id < 0:
                raise ExportError(f"{folder / 'added_tokens.json'}: {text!r} is {token_id!r}, not a token id")
            added[text] = _plain(text, special=False, token_id=token_id)
    roles = {}

    def add(role: str | None, entry: Any) -> None:
        token = _role(tokenizer_config.path, entry)
        if token is not None:
            if role is not None:
                roles[role] = token.text
            # Whatever it is elsewhere, a token with a role is special.
            added[token.text] = replace(added.get(token.text, token), special=True)

    for role in ROLES:
        add(role, settings.get(role, special_map.get(role)))
    for key in _MORE:
        value = settings.get(key) or []
        if not isinstance(value, dict | list):
            raise ExportError(f"{tokenizer_config.path}: {key} is {str(value)[:60]!r}, not a list of tokens")
        for name, entry in value.items() if isinstance(value, dict) else ((None, each) for each in value):
            add(name, entry)
    for role, entry in settings.items():
        is_token = isinstance(entry, str) or (isinstance(entry, dict) and entry.get("__type") == "AddedToken")
        if role.endswith(_ROLE_SUFFIX) and role not in ROLES and is_token:
            add(role, entry)
    named = BY_CLASS.get(class_name or "", {})
    return SpecialTokens({**{role: text for role, text in named.items() if role not in settings}, **roles}, added)


def with_ids(
    tokens: Iterable[AddedToken], known: Mapping[str, int], limit: int, notes: list[str]
) -> dict[int, AddedToken]:
    """The tokens by their ids: the id in the vocabulary `known`, the one that the folder gives, or the next free one.
    Tokens whose id is not less than `limit` are left out: the model has no embedding for them."""
    placed: dict[int, AddedToken] = {}
    left_out: list[str] = []
    taken = set(known.values())
    following = max(taken, default=-1) + 1
    for token in tokens:
        token_id = known.get(token.text)
        if token_id is None:
            token_id = token.token_id if token.token_id is not None and token.token_id not in taken else following
        if token_id >= limit:
            left_out.append(token.text)
            following = max(following, token_id + 1)
            continue
        placed[token_id] = token
        taken.add(token_id)
        following = max(following, token_id + 1)
    if left_out:
        notes.append(left_out_note(left_out, limit))
    return placed


def left_out_note(texts: Sequence[str], limit: int) -> str:
    count = f"token {texts[0]!r} is" if len(texts) == 1 else f"{len(texts)} tokens are"
    first = "" if len(texts) == 1 else f", {texts[0]!r} and so on"
    return f"{count} left out{first}: the model has no more than {limit} tokens"


def _plain(text: str, special: bool, token_id: int | None = None) -> AddedToken:
    return AddedToken(text, special, {flag: flag == "normalized" and not special for flag in _FLAGS}, token_id)


def _token(path: Path, entry: Any, token_id: int | None = None) -> AddedToken:
    """Reads a token, which is an object with its properties."""
    text = entry.get("content") if isinstance(entry, dict) else None
    if not isinstance(text, str) or not text:
        raise ExportError(f"{path}: {str(entry)[:60]!r} in added_tokens_decoder is not a token")
    special = entry.get("special", False) is True
    flags = {flag: entry.get(flag, flag == "normalized" and not special) is True for flag in _FLAGS}
    return AddedToken(text, special, flags, token_id)


def _role(path: Path, entry: Any) -> AddedToken | None:
    """Reads a token with a role, which may also be a text."""
    if entry is None or entry == "":
        return None
    if isinstance(entry, str):
        return _plain(entry, special=True)
    return _token(path, entry)


def _optional(file: Path) -> dict[str, Any]:
    return JsonDocument(file).values if file.exists() else {}
