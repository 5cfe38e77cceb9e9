"""Which tokens end an answer: those that a source names, and those with the well-known names that llama.cpp has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# What models call the end of a turn, a message or a text. Files often name only one of several: a model that was
# trained for chats ends them with another token than the texts of its first training.
END_NAMES = frozenset(
    "<|eot_id|> <|eom_id|> <|end_of_text|> <|im_end|> <|endoftext|> <|end|> <|return|> <|call|> <|flush|> <|calls|>"
    " <end_of_turn> <end_of_utterance> <eos> <turn|> <|tool_response> <EOT> _<EOT> [EOT] [EOS] </s>"
    " <｜end▁of▁sentence｜> <｜end_of_sentence｜> <|END_OF_TURN_TOKEN|> <|end_of_turn|> <|endofturn|> <|END|>"
    " [e~[".split()
)
# For each pair: if the first tokens are in the vocabulary, the second one is a part of an answer and not its end.
_NOT_BESIDE = (
    (frozenset(("<|return|>", "<|call|>")), "<|end|>"),
    (frozenset(("<|flush|>", "<|calls|>")), "<|end|>"),
    (frozenset(("<|tool_response>",)), "</s>"),
)


def end_names(texts: Iterable[str]) -> set[str]:
    """Those of the tokens' texts that are the name of an end."""
    names = set(END_NAMES.intersection(texts))
    for present, absent in _NOT_BESIDE:
        if present <= names:
            names -= {absent}
    return names


def end_token_ids(named: Iterable[int], special: Mapping[str, int]) -> list[int]:
    """`named` are the tokens that a source names as ends; `special` are the tokens that no text contains, by their
    texts."""
    return sorted({*named, *(special[name] for name in end_names(special))})
