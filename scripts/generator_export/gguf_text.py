"""The parts of a GGUF file that belong to the text: tokenizer, chat template, special tokens, sampling defaults."""

from __future__ import annotations

from generator_export.bpe_tokenizer import gguf_tokenizer_json, gguf_tokens, pre_tokenizer_of
from generator_export.errors import ExportError
from generator_export.gguf_ends import END_ROLES, named_tokens, well_known_ends
from generator_export.gguf_file import GgufFile
from generator_export.sampling_defaults import from_gguf
from generator_export.sentencepiece_gguf import gguf_pieces, sentencepiece_model
from generator_export.source import TextSide

# What llama.cpp assumes if a file with this tokenizer does not say it.
DEFAULT_IDS = {"llama": {"bos": 1, "eos": 2}, "gpt2": {}}


def text_side(file: GgufFile) -> TextSide:
    model = file.get("tokenizer.ggml.model", str)
    if model == "gpt2":
        tokens, _ = gguf_tokens(file)
        files, adds_bos = {"tokenizer.json": gguf_tokenizer_json(file)}, pre_tokenizer_of(file).adds_bos
    elif model == "llama":
        tokens = [piece.text for piece in gguf_pieces(file)]
        files, adds_bos = {"tokenizer.model": sentencepiece_model(file)}, True
    else:
        raise ExportError(f"{file.path}: tokenizer {model} is not supported; gpt2 and llama are")
    notes: list[str] = []
    ids = {name: named_tokens(file, name, len(tokens), notes) for name in ("bos", *END_ROLES)}
    for name, token_id in DEFAULT_IDS[model].items():
        if f"tokenizer.ggml.{name}_token_id" not in file.metadata and token_id < len(tokens):
            ids[name] = ids[name] or [token_id]
    well_known = well_known_ends(file, tokens)
    ends = {token_id for token_id, token in enumerate(tokens) if token in well_known}
    if file.get("tokenizer.ggml.add_eos_token", bool, False):
        notes.append("the file asks for an end behind every text, which nothing could continue: left out")
    begins = bool(ids["bos"]) and file.get("tokenizer.ggml.add_bos_token", bool, adds_bos)
    defaults, more_notes = from_gguf(file)
    return TextSide(
        files=files,
        chat_template=_chat_template(file),
        bos_token=tokens[ids["bos"][0]] if ids["bos"] else "",
        eos_token=tokens[ids["eos"][0]] if ids["eos"] else "",
        # llama.cpp provides no others to templates.
        more_tokens={},
        leading_token_id=ids["bos"][0] if begins else None,
        end_token_ids=sorted(ends.union(*(ids[name] for name in END_ROLES))),
        defaults=defaults,
        notes=[*notes, *more_notes],
    )


def _chat_template(file: GgufFile) -> str | None:
    template = file.metadata.get("tokenizer.chat_template")
    if template is not None and not isinstance(template, str):
        raise ExportError(f"{file.path}: tokenizer.chat_template is not a text")
    return template or None
