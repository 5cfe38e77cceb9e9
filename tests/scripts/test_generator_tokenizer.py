"""The tokenizers that are made from GGUF metadata, as the libraries that they are meant for read them."""

from __future__ import annotations

from pathlib import Path

import pytest
import sentencepiece
from generator_export.bpe_tokenizer import PRE_TOKENIZERS
from generator_export.errors import ExportError
from generator_export.gguf_source import read_gguf
from tiny_models import TinyVocabulary, tiny_model, tiny_tokens, write_gguf
from tokenizers import Tokenizer, normalizers, pre_tokenizers

TEXTS = (
    "I'll pay 12345 crowns,\n\n  won't YOU'RE?\t\tx  ",
    "Größe ½ ٣٤ 你好，世界 ① e\u0301 🙂🙂 \u00a0 a_b",
    "def f(x):\r\n    return x**2  # $5 <= ~1 | 2^3 == 8",
    "   ",
    "",
)

# What the pieces of some texts must be, by the rules that the models' authors published.
PIECES = {
    "gpt-2": [("I'll pay 123!!", ["I", "'ll", " pay", " 123", "!!"]), ("a  b\n\nc", ["a", " ", " b", "\n", "\n", "c"])],
    "smollm": [("I'll pay 123!!", ["I", "'ll", " pay", " ", "1", "2", "3", "!!"]), ("x²y", ["x", "²", "y"])],
    "llama-bpe": [
        ("I'LL pay 12345!!\n", ["I", "'LL", " pay", " ", "123", "45", "!!\n"]),
        ("(a  b\n\n c", ["(a", " ", " b", "\n\n", " c"]),
    ],
    "qwen2": [("I'LL pay 123!!\n", ["I", "'LL", " pay", " ", "1", "2", "3", "!!\n"]), ("_a", ["_a"])],
    "default": [("it's 12345, $x", ["it", "'", "s", " ", "123", "45", ",", " ", "$", "x"])],
}


def tokenizer_of(path: Path, vocabulary: TinyVocabulary) -> Tokenizer:
    source = read_gguf(write_gguf(path, tiny_model("llama"), vocabulary=vocabulary))
    return Tokenizer.from_str(source.text.files["tokenizer.json"].decode())


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_every_pre_tokenizer_cuts_as_its_model_does_and_loses_nothing(tmp_path: Path, name: str) -> None:
    tokenizer = tokenizer_of(tmp_path / "a.gguf", TinyVocabulary(pre=name))
    for text, pieces in PIECES[name]:
        cuts = [text[slice(*span)] for _, span in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
        assert cuts == pieces
    for text in TEXTS:
        decoded = tokenizer.decode(tokenizer.encode(text).ids)
        assert decoded == (normalizers.NFC().normalize_str(text) if name == "qwen2" else text)


def test_smollm_is_the_same_as_its_authors_own(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path / "a.gguf", TinyVocabulary(pre="smollm"))
    theirs = tokenizer_of(tmp_path / "b.gguf", TinyVocabulary(pre="smollm"))
    digits = pre_tokenizers.Digits(individual_digits=True)
    theirs.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    for text in TEXTS:
        assert tokenizer.encode(text).tokens == theirs.encode(text).tokens


def test_merges_and_special_tokens_have_their_numbers(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(tmp_path / "a.gguf", TinyVocabulary())
    tokens = tiny_tokens()
    assert [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())] == tokens
    assert tokenizer.encode("<s>the an the123</s>").tokens == ["<s>", "the", "Ġan", "Ġthe", "123", "</s>"]
    assert tokenizer.encode("</s>").ids == [2]
    assert tokenizer.decode([1, *tokenizer.encode("the").ids, 2]) == "the"


def test_tokens_that_a_user_defined_are_not_special(tmp_path: Path) -> None:
    types = [3] * 3 + [1] * (len(tiny_tokens()) - 3)
    types[tiny_tokens().index("123")] = 4
    tokenizer = tokenizer_of(tmp_path / "a.gguf", TinyVocabulary(types=types))
    added = {token.content: token.special for token in tokenizer.get_added_tokens_decoder().values()}
    assert added == {"<unk>": True, "<s>": True, "</s>": True, "123": False}


def test_a_merge_of_what_is_no_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="merges 'q q'"):
        tokenizer_of(tmp_path / "a.gguf", TinyVocabulary(merges=["t h", "q q"]))


def sentencepiece_gguf(path: Path, **flags: bool) -> Path:
    """With the pieces of a few words, and a byte each for the rest."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [2, 3, 3] + [6] * 256
    words = ["▁", "h", "e", "l", "o", "he", "ll", "hell", "hello", "▁hello"]
    scores = [0.0] * len(pieces) + [-float(len(words) - i) for i in range(len(words))]
    tokens, types = pieces + words, types + [1] * len(words)
    vocabulary = TinyVocabulary("llama", tokens=tokens, types=types, scores=scores, flags=flags)
    return write_gguf(path, tiny_model("llama"), vocabulary=vocabulary)


def test_sentencepiece_models_are_what_the_library_reads(tmp_path: Path) -> None:
    text = read_gguf(sentencepiece_gguf(tmp_path / "a.gguf")).text
    assert set(text.files) == {"tokenizer.model"}
    processor = sentencepiece.SentencePieceProcessor(model_proto=text.files["tokenizer.model"])
    assert processor.encode("hello hello", out_type=str) == ["▁hello", "▁hello"]
    assert processor.encode("é", out_type=str) == ["▁", "<0xC3>", "<0xA9>"]
    assert processor.encode("</s>")[-1] != 2
    assert (processor.unk_id(), processor.bos_id(), processor.eos_id()) == (0, 1, 2)
    assert processor.decode(processor.encode("hello  é\n")) == "hello  é\n"


def test_a_sentencepiece_model_without_a_leading_space_has_none(tmp_path: Path) -> None:
    path = sentencepiece_gguf(tmp_path / "a.gguf", add_space_prefix=False, remove_extra_whitespaces=True)
    processor = sentencepiece.SentencePieceProcessor(model_proto=read_gguf(path).text.files["tokenizer.model"])
    assert processor.encode("hello  hello", out_type=str) == ["hello", "▁hello"]
