"""The tokenizer of a Hugging Face folder as the server reads it: the file that is there or one that is equivalent, and
the special tokens that other files name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from generator_export.bpe_tokenizer import TokenType, tokenizer_json
from generator_export.errors import ExportError
from generator_export.json_document import JsonDocument
from generator_export.pre_tokenizers import PRE_TOKENIZERS
from generator_export.rebuilt_steps import is_legacy, rebuilt_steps
from generator_export.sentencepiece_proto import Piece, read_pieces, with_pieces
from generator_export.special_tokens import SpecialTokens, left_out_note, tokenizer_class, with_ids


@dataclass(frozen=True)
class HuggingFaceTokenizer:
    # The name in the version's folder, and the contents.
    name: str
    content: bytes
    # By text: all tokens, and those that no text contains.
    tokens: Mapping[str, int]
    special: Mapping[str, int]
    # The tokens that the file itself puts before a text; None if it does not say.
    leading: Sequence[int] | None
    notes: list[str] = field(default_factory=list)


def read_tokenizer(
    folder: Path, tokenizer_config: JsonDocument, special: SpecialTokens, class_name: str | None, limit: int
) -> HuggingFaceTokenizer:
    """`limit` is the size of the model's vocabulary."""
    if (folder / "tokenizer.json").exists():
        return _from_json(folder / "tokenizer.json", tokenizer_config, special, class_name, limit)
    if (folder / "tokenizer.model").exists():
        return _from_sentencepiece(folder / "tokenizer.model", tokenizer_config, special, limit)
    if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        return _from_vocabulary(folder, tokenizer_config, special, class_name, limit)
    names = [file.name for file in folder.glob("*") if file.name in ("tekken.json", "spiece.model", "vocab.txt")]
    raise ExportError(
        f"{folder}: there is neither a tokenizer.json nor a tokenizer.model"
        + (
            f": {names[0]} is not supported; AutoTokenizer of transformers may save it as tokenizer.json"
            if names
            else ""
        )
    )


def _from_json(
    file: Path, tokenizer_config: JsonDocument, special: SpecialTokens, class_name: str | None, limit: int
) -> HuggingFaceTokenizer:
    document, notes = JsonDocument(file), list[str]()
    values = document.values
    model = document.get("model", dict)
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not all(isinstance(token_id, int) for token_id in vocabulary.values()):
        kind = model.get("type", "of a kind that is not named")
        raise ExportError(f"{file}: the tokenizer is {kind}, which is not supported; BPE is")
    changes: dict[str, Any] = {key: None for key in ("truncation", "padding") if values.get(key) is not None}
    rebuilt = rebuilt_steps(values, tokenizer_config, class_name)
    changes |= {key: step for key, step in rebuilt.items() if step != values.get(key)}
    own = document.get("added_tokens", list, [])
    if not all(
        isinstance(token, dict) and isinstance(token.get("id"), int) and isinstance(token.get("content"), str)
        for token in own
    ):
        raise ExportError(f"{file}: added_tokens is not a list of tokens")
    known = {**vocabulary, **{token["content"]: token["id"] for token in own}}
    placed = {token["id"]: token for token in own}
    for token_id, token in with_ids(special.added.values(), known, limit, notes).items():
        placed[token_id] = token.as_json(token_id, placed.get(token_id))
    beyond = [token_id for token_id in placed if token_id >= limit]
    if beyond:
        notes.append(left_out_note([str(placed.pop(token_id).get("content")) for token_id in beyond], limit))
    added = [placed[token_id] for token_id in sorted(placed)]
    if added != own:
        changes["added_tokens"] = added
    texts = {token.get("content") for token in added}
    leading, trailing, readable = _template(document, texts)
    if trailing:
        notes.append(f"the tokenizer puts {trailing} behind every text, which nothing could continue: left out")
    if trailing or not readable:
        changes["post_processor"] = None
    content = json.dumps({**values, **changes}, ensure_ascii=False).encode() if changes else file.read_bytes()
    tokens = {**vocabulary, **{token.get("content"): token["id"] for token in added}}
    special_ids = {token.get("content"): token["id"] for token in added}
    return HuggingFaceTokenizer("tokenizer.json", content, tokens, special_ids, leading, notes)


def _template(document: JsonDocument, added: set[Any]) -> tuple[Sequence[int] | None, str, bool]:
    """The tokens before a text, a description of those after it, and whether the server can read the whole
    post-processor."""
    leading: list[int] | None = None
    trailing, readable = [], True
    processor = document.get("post_processor", dict, {})
    for each in processor.get("processors", [processor]) if processor.get("type") == "Sequence" else [processor]:
        try:
            kind = each.get("type")
            if kind == "TemplateProcessing":
                leading, before = [], True
                for piece in each["single"]:
                    if "Sequence" in piece:
                        before = False
                        continue
                    name = piece["SpecialToken"]["id"]
                    readable = readable and name in added
                    if before:
                        leading += each["special_tokens"][name]["ids"]
                    else:
                        trailing.append(name)
            elif kind in ("BertProcessing", "RobertaProcessing"):
                leading, readable = [int(each["cls"][1])], False
                trailing.append(each["sep"][0])
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            raise ExportError(f"{document.path}: the post_processor is broken") from None
    return leading, ", ".join(map(str, trailing)), readable


def _from_sentencepiece(
    file: Path, tokenizer_config: JsonDocument, special: SpecialTokens, limit: int
) -> HuggingFaceTokenizer:
    """If the tokenizer is a legacy one, text after an added token, special or not, begins with a space, as a whole text
    does. The library does this after its own control pieces, but not after user-defined ones."""
    # The class must be named: without one, transformers reads the file in another way than LlamaTokenizer does.
    class_name = tokenizer_class(tokenizer_config)
    legacy = is_legacy(tokenizer_config, class_name)
    model, notes = file.read_bytes(), list[str]()
    try:
        pieces = read_pieces(model)
    except ValueError as error:
        raise ExportError(f"{file}: is no model of SentencePiece: {error}") from None
    known = {piece.text: token_id for token_id, piece in enumerate(pieces)}
    placed = with_ids(special.added.values(), known, limit, notes)
    changes = {}
    for token_id, token in placed.items():
        if token_id >= len(pieces) or pieces[token_id].kind in (TokenType.NORMAL, TokenType.UNUSED):
            control = legacy and (token.special or _may_be_mark(token.text))
            changes[token_id] = Piece(token.text, 0.0, TokenType.CONTROL if control else TokenType.USER_DEFINED)
    for token_id, piece in enumerate(pieces):
        if piece.kind == TokenType.CONTROL and not legacy:
            changes[token_id] = replace(piece, kind=TokenType.USER_DEFINED)
        elif (
            piece.kind == TokenType.USER_DEFINED
            and legacy
            and class_name == "LlamaTokenizer"
            and _may_be_mark(piece.text)
        ):
            # In that class these are added tokens, too.
            changes[token_id] = replace(piece, kind=TokenType.CONTROL)
    texts = {token_id: piece.text for token_id, piece in (*enumerate(pieces), *changes.items())}
    no_text = (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED)
    ids = {token_id for token_id, piece in enumerate(pieces) if piece.kind in no_text} | set(placed)
    return HuggingFaceTokenizer(
        "tokenizer.model",
        with_pieces(model, changes) if changes else model,
        {text: token_id for token_id, text in texts.items()},
        {texts[token_id]: token_id for token_id in sorted(ids)},
        None,
        notes,
    )


def _may_be_mark(text: str) -> bool:
    """Whether the server treats a user-defined piece with this text as special: then it may as well be a control piece.
    The others, digits and runs of spaces, must stay user-defined to be found in any text."""
    return any(character.isalpha() for character in text)


def _from_vocabulary(
    folder: Path, tokenizer_config: JsonDocument, special: SpecialTokens, class_name: str | None, limit: int
) -> HuggingFaceTokenizer:
    """Byte-level BPE as it was stored before tokenizer.json existed. The class determines how a text is cut."""
    file, notes = folder / "vocab.json", list[str]()
    vocabulary = JsonDocument(file).values
    if not all(isinstance(token_id, int) for token_id in vocabulary.values()):
        raise ExportError(f"{file}: is not a vocabulary")
    try:
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{folder / 'merges.txt'}: {error}") from None
    merges = [line.split() for line in lines if line.strip() and not line.startswith("#version")]
    placed = with_ids(special.added.values(), vocabulary, limit, notes)
    added = [placed[token_id].as_json(token_id) for token_id in sorted(placed)]
    pre_tokenizer = PRE_TOKENIZERS["qwen2" if class_name == "Qwen2Tokenizer" else "gpt-2"]
    document = json.loads(tokenizer_json(file, pre_tokenizer, vocabulary, merges, added))
    if class_name != "Qwen2Tokenizer":
        # This cuts as GPT-2 does. But if a space were put before the text, it would be put before each piece of an
        # earlier cut.
        step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        document["pre_tokenizer"] = step
    content = json.dumps(document | rebuilt_steps(document, tokenizer_config, class_name), ensure_ascii=False).encode()
    ids = {token["content"]: token["id"] for token in added}
    return HuggingFaceTokenizer("tokenizer.json", content, {**vocabulary, **ids}, ids, None, notes)
