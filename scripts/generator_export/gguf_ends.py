"""Which tokens of a GGUF file end an answer, as llama.cpp decides it: those that the metadata name, and those with a
well-known text, whatever type the file gives them, because some converters did not know them."""

from __future__ import annotations

from collections.abc import Sequence

from generator_export.end_tokens import end_names
from generator_export.errors import ExportError
from generator_export.gguf_file import GgufFile

# The tokens that models for filling in the middle of a file write around it, by their role in the metadata. After the
# answer, such a model continues with the padding, or with the next file or repository. If the metadata name a token for
# a role, no other token has it.
_FILL_IN_NAMES = {
    "fim_pad": frozenset("<|fim_pad|> <fim-pad> <fim_pad> <PAD> [PAD]".split()),
    "fim_rep": frozenset("<|fim_repo|> <|repo_name|> <fim-repo> <REPO> <reponame>".split()),
    "fim_sep": frozenset(("<|file_sep|>",)),
}
# The roles of end of text, end of turn and end of message, for models in which these are separate tokens, and those
# above.
END_ROLES = ("eos", "eot", "eom", *_FILL_IN_NAMES)


def named_tokens(file: GgufFile, role: str, size: int, notes: list[str]) -> list[int]:
    """What the file has for `role`: one token or several. `size` is the number of tokens in the vocabulary."""
    found: list[int] = []
    for key in (f"tokenizer.ggml.{role}_token_id", f"tokenizer.ggml.{role}_token_ids"):
        value = file.metadata.get(key)
        values: Sequence[object] = value if isinstance(value, list) else [] if value is None else [value]
        for each in values:
            if not isinstance(each, int) or isinstance(each, bool):
                raise ExportError(f"{file.path}: {key} is not a token")
            if 0 <= each < size:
                found.append(each)
            # Files without such a token say so with the largest number.
            elif 0 <= each < (1 << 32) - 1:
                notes.append(f"{key} is {each}, and there are {size} tokens: left out")
    return found


def well_known_ends(file: GgufFile, tokens: Sequence[str]) -> set[str]:
    """The tokens whose texts say that they are ends. They also count as control tokens, whatever their types."""
    names = end_names(tokens)
    for role, known in _FILL_IN_NAMES.items():
        if not named_tokens(file, role, len(tokens), []):
            names |= known.intersection(tokens)
    return names
