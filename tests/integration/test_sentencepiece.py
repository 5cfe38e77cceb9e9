"""Our reader of SentencePiece models gives the same tokens and texts as the library."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from test_tokenizer import ALL, answers, request
from tokenizer_corpus import corpus, decoded

# What models are trained with.
MODELS: dict[str, dict[str, Any]] = {
    "unigram": {"model_type": "unigram", "vocab_size": 1500},
    "unigram_bytes": {"model_type": "unigram", "vocab_size": 1800, "byte_fallback": True},
    "bpe": {"model_type": "bpe", "vocab_size": 1800},
    # As Llama 2 and Mistral.
    "llama": {
        "model_type": "bpe",
        "vocab_size": 2000,
        "byte_fallback": True,
        "split_digits": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
    },
    # As Gemma.
    "symbols": {
        "model_type": "bpe",
        "vocab_size": 2000,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "user_defined_symbols": ["▁▁", "▁▁▁▁", "\n\n", "==", "123"],
    },
    "unigram_symbols": {"model_type": "unigram", "vocab_size": 1500, "user_defined_symbols": ["▁▁", "->", "★"]},
    "nmt_nfkc_cf": {"model_type": "unigram", "vocab_size": 1500, "normalization_rule_name": "nmt_nfkc_cf"},
    "suffix": {"model_type": "bpe", "vocab_size": 1500, "treat_whitespace_as_suffix": True},
}
# Made of others.
UNUSED = {"llama_unused": "llama", "bpe_unused": "bpe", "unigram_symbols_unused": "unigram_symbols"}
MARKS = ["<start_of_turn>", "<end_of_turn>"]


def train(**options: Any) -> bytes:
    model = BytesIO()
    # Lines with zero bytes cannot be trained on.
    lines = [line for string in corpus()[::4] for line in decoded(string).splitlines() if line and "\0" not in line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        minloglevel=2,
        hard_vocab_limit=False,
        character_coverage=0.98,
        num_threads=1,
        **options,
    )
    return model.getvalue()


def with_unused(content: bytes) -> bytes:
    """Some pieces are not to be used, and more of them fill the vocabulary up."""
    model_class: Any = sentencepiece_model_pb2.ModelProto  # type: ignore[attr-defined]
    proto, unused = model_class.FromString(content), model_class.SentencePiece.UNUSED
    normal = [piece for piece in proto.pieces if piece.type == piece.NORMAL]
    for piece in normal[::7]:
        piece.type = unused
    for number in range(5):
        proto.pieces.add(piece=f"[PAD{number}]", score=-1000, type=unused)
    return proto.SerializeToString()


@cache
def model(name: str) -> bytes:
    if name in UNUSED:
        return with_unused(model(UNUSED[name]))
    return train(**MODELS[name])


def save(content: bytes, folder: Path) -> Path:
    (folder / "tokenizer.model").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", [*MODELS, *UNUSED])
def test_tokens_and_texts_are_those_of_the_library(name: str, tmp_path: Path) -> None:
    library = sentencepiece.SentencePieceProcessor(model_proto=model(name))
    # The library never takes control tokens from a text.
    strings = [string for string in corpus() if b"<s>" not in string and b"</s>" not in string]
    ours = answers(save(model(name), tmp_path), [request(string, ALL) for string in strings])
    differences = []
    for string, answer in zip(strings, ours, strict=True):
        ids = library.encode(decoded(string))
        text = library.decode(ids)
        if ids != answer["ids"] or text != answer["text"]:
            differences.append((string, ids, text, answer))
    assert differences[:3] == [], len(differences)
    assert len(strings) > 20_000


def test_control_tokens_count_only_where_they_are_trusted(tmp_path: Path) -> None:
    library = sentencepiece.SentencePieceProcessor(model_proto=model("llama"))
    folder = save(model("llama"), tmp_path)
    content = "hi </s> there"
    text = f"<s>{content}</s>".encode()
    trusted = [[0, 3], [len(text) - 4, len(text)]]
    [answer] = answers(folder, [request(text, trusted)])
    assert answer["ids"] == [library.bos_id(), *library.encode(content), library.eos_id()]
    assert answer["without_special"] == content


def test_marks_of_a_chat_are_text_unless_they_are_trusted(tmp_path: Path) -> None:
    content = train(
        model_type="bpe",
        vocab_size=2000,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=[*MARKS, "▁▁"],
    )
    library = sentencepiece.SentencePieceProcessor(model_proto=content)
    start, end = (library.piece_to_id(mark) for mark in MARKS)
    folder = save(content, tmp_path)
    text = f"so {MARKS[0]}user\n  hi {MARKS[1]}\nbye{MARKS[1]}"
    everything, nothing = answers(folder, [request(text.encode(), ALL), request(text.encode(), [])])
    assert everything["ids"] == library.encode(text)
    assert {start, end}.isdisjoint(nothing["ids"])
    assert nothing["text"] == everything["text"] == text
    # Unlike the library, no space before a mark that begins the text: models are trained without.
    [begins] = answers(folder, [request(MARKS[0].encode(), ALL)])
    assert begins["ids"] == [start]
