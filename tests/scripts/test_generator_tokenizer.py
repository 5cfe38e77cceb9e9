"""The tokenizers that are made from GGUF metadata, as the libraries that they are meant for read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import Tokenizer, normalizers, pre_tokenizers

from generator_export.errors import ExportError
from generator_export.gguf_source import read_gguf
from generator_export.huggingface_source import read_huggingface
from generator_export.pre_tokenizers import PRE_TOKENIZERS
from generator_export.sentencepiece_proto import Piece, read_pieces, with_pieces
from tiny_models import TinyVocabulary, tiny_model, tiny_tokens, write_gguf, write_safetensors

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
    "dbrx": [("I'LL pay 12345!!\n", ["I", "'LL", " pay", " ", "123", "45", "!!\n"])],
    "deepseek-r1-qwen": [("I'LL pay 123!!\n", ["I", "'LL", " pay", " ", "1", "2", "3", "!!\n"])],
    "gpt-4o": [("I'LL pay 1234/\n", ["I'LL", " pay", " ", "123", "4", "/\n"]), ("HelloWORLD", ["Hello", "WORLD"])],
    "tekken": [
        ("I'LL pay 12/\n", ["I", "'LL", " pay", " ", "1", "2", "/\n"]),
        ("HelloWORLDfoo", ["Hello", "WORLDfoo"]),
    ],
    "deepseek-v3": [("a 1234，世界 (b", ["a", " ", "123", "4", "，", "世界", " (", "b"]), ("#define", ["#define"])],
    "deepseek-llm": [("it's\n\n世界 12", ["it", "'", "s", "\n", "\n", "世界", " ", "12"]), ("Ω Ώ", ["Ω", " Ώ"])],
    "deepseek-coder": [("it's\n世界 12", ["it", "'", "s", "\n", "世界", " ", "1", "2"])],
    "bailingmoe": [("I'LL\n\na", ["I", "'LL", "\n\n", "a"]), ("12", ["1", "2"])],
    "poro-chat": [("I'll pay 12!\nb", ["I'll", " pay", " 12", "!\n", "b"])],
    "viking": [("I'll pay 12!\nb", ["I'll", " pay", " ", "1", "2", "!\n", "b"])],
    "falcon": [("it's 12345 `x`", ["it", "'", "s", " ", "123", "45", " ", "`", "x", "`"])],
    "qwen35": [("e\u0301a 12", ["e\u0301a", " ", "1", "2"])],
    "seed-coder": [("a!!\n12", ["a", "!!", "\n", "1", "2"])],
    "ufakzeka": [("Ankara'da 12", ["Ankara", "'da", " ", "1", "2"]), ("I'll", ["I", "'ll"])],
    "laguna": [("a!!\n\n12", ["a", "!!", "\n\n", "1", "2"])],
    "youtu": [("世界 HelloWORLD's12", ["世界", " Hello", "WORLD's", "1", "2"])],
    "minicpm5": [("I'LL pay 12345!!\n", ["I", "'LL", " pay", " ", "123", "45", "!!\n"])],
    "chameleon": [("a    b!!12", ["a", "    ", "b", "!", "!", "1", "2"])],
}
# The first of the names that each has.
DISTINCT = list({id(each): name for name, each in reversed(PRE_TOKENIZERS.items())}.values())


def tokenizer_of(path: Path, vocabulary: TinyVocabulary) -> Tokenizer:
    source = read_gguf(write_gguf(path, tiny_model("llama"), vocabulary=vocabulary))
    return Tokenizer.from_str(source.text.files["tokenizer.json"].decode())


def test_each_name_cuts_as_one_of_the_examples() -> None:
    assert set(DISTINCT) == set(PIECES)


@pytest.mark.parametrize("name", DISTINCT)
def test_every_pre_tokenizer_cuts_as_its_model_does_and_loses_nothing(tmp_path: Path, name: str) -> None:
    tokenizer = tokenizer_of(tmp_path / "a.gguf", TinyVocabulary(pre=name))
    for text, pieces in PIECES[name]:
        cuts = [text[slice(*span)] for _, span in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
        assert cuts == pieces
    for text in TEXTS:
        decoded = tokenizer.decode(tokenizer.encode(text).ids)
        assert decoded == (normalizers.NFC().normalize_str(text) if PRE_TOKENIZERS[name].normalizer else text)


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


@pytest.mark.parametrize("kind", [1, 3, 4, 5])
def test_a_well_known_end_is_one_whatever_its_type(tmp_path: Path, kind: int) -> None:
    """As llama.cpp has it: it goes by the texts of all tokens, also of those that merges make."""
    tokens = [*tiny_tokens(), "<", "<e", "<eo", "<eos", "<eos>", "<|im_end|>"]
    tokens.remove("<")
    types = [3] * 3 + [1] * (len(tokens) - 5) + [kind] * 2
    merges = ["< e", "<e o", "<eo s", "<eos >"]
    vocabulary = TinyVocabulary(tokens=tokens, types=types, merges=merges)
    text = read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model("llama"), vocabulary=vocabulary)).text
    assert text.end_token_ids == [2, len(tokens) - 2, len(tokens) - 1]
    added = Tokenizer.from_str(text.files["tokenizer.json"].decode()).get_added_tokens_decoder()
    assert [added[token_id].special for token_id in text.end_token_ids] == [True] * 3


@pytest.mark.parametrize("kind", [1, 3, 4, 5])
def test_a_well_known_end_among_pieces_is_one_whatever_its_type(tmp_path: Path, kind: int) -> None:
    more = {"<|im_end|>": kind, "<start_of_turn>": 4, "<end_of_turn>": kind}
    path = sentencepiece_gguf(tmp_path / "a.gguf", more)
    text = read_gguf(path).text
    processor = sentencepiece.SentencePieceProcessor(model_proto=text.files["tokenizer.model"])
    ends = [processor.piece_to_id(piece) for piece in ("</s>", "<|im_end|>", "<end_of_turn>")]
    assert text.end_token_ids == ends
    assert all(processor.is_control(end) for end in ends)


def test_an_end_that_stands_for_what_is_unknown_still_does(tmp_path: Path) -> None:
    path = sentencepiece_gguf(tmp_path / "a.gguf", unknown="<|endoftext|>")
    text = read_gguf(path).text
    assert text.end_token_ids == [0, 2]
    assert sentencepiece.SentencePieceProcessor(model_proto=text.files["tokenizer.model"]).is_unknown(0)


def sentencepiece_gguf(
    path: Path, more: Mapping[str, int] | None = None, unknown: str = "<unk>", **flags: bool
) -> Path:
    """With the pieces of a few words, and a byte each for the rest; `more` are pieces and their types."""
    pieces = [unknown, "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [2, 3, 3] + [6] * 256
    words = ["▁", "h", "e", "l", "o", "he", "ll", "hell", "hello", "▁hello"]
    scores = [0.0] * len(pieces) + [-float(len(words) - i) for i in range(len(words))]
    tokens, types = pieces + words, types + [1] * len(words)
    for piece, kind in (more or {}).items():
        tokens, types, scores = [*tokens, piece], [*types, kind], [*scores, -100.0]
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


# Whether LlamaTokenizer is a legacy one with these settings, and a tokenizer of no class.
LEGACY = [
    ({}, False, True),
    ({"legacy": True}, True, True),
    ({"legacy": False}, False, False),
    ({"legacy": None}, False, False),
]


@pytest.mark.parametrize(("settings", "by_class", "without"), LEGACY)
def test_text_behind_a_token_begins_as_transformers_has_it(
    tmp_path: Path, settings: dict[str, bool | None], by_class: bool, without: bool
) -> None:
    """With a space behind control pieces, and without one behind user-defined pieces."""
    model = read_gguf(sentencepiece_gguf(tmp_path / "a.gguf", {"<mark>": 4, "...": 4})).text.files["tokenizer.model"]
    folder = write_safetensors(tmp_path / "model", tiny_model("llama", num_hidden_layers=1))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(model)
    (folder / "added_tokens.json").write_text('{"<plain>": 271, "<role>": 272, "++": 273}')
    for class_name, legacy in (("LlamaTokenizer", by_class), (None, without), ("CodeLlamaTokenizer", False)):
        named = {} if class_name is None else {"tokenizer_class": class_name}
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<role>"} | named | settings))
        content = read_huggingface(folder).text.files["tokenizer.model"]
        kinds = {piece.text: piece.kind for piece in read_pieces(content)}
        control = {text for text in ("</s>", "<plain>", "<role>", "<mark>", "++", "...") if kinds[text] == 3}
        own = {"<mark>"} if class_name == "LlamaTokenizer" else set()
        assert control == ({"</s>", "<plain>", "<role>"} | own if legacy else set()), class_name


def test_a_sentencepiece_model_without_a_leading_space_has_none(tmp_path: Path) -> None:
    path = sentencepiece_gguf(tmp_path / "a.gguf", add_space_prefix=False, remove_extra_whitespaces=True)
    processor = sentencepiece.SentencePieceProcessor(model_proto=read_gguf(path).text.files["tokenizer.model"])
    assert processor.encode("hello  hello", out_type=str) == ["hello", "▁hello"]


def test_pieces_are_changed_and_added_in_their_places(tmp_path: Path) -> None:
    model = read_gguf(sentencepiece_gguf(tmp_path / "a.gguf")).text.files["tokenizer.model"]
    count = len(read_pieces(model))
    changed = with_pieces(model, {2: Piece("<mark>", 0.0, 4), count + 1: Piece("<end>", 0.0, 3)})
    assert with_pieces(model, {}) == model
    processor = sentencepiece.SentencePieceProcessor(model_proto=changed)
    assert processor.vocab_size() == count + 2
    assert [processor.id_to_piece(i) for i in (1, 2, 3, count + 1)] == ["<s>", "<mark>", "<0x00>", "<end>"]
    assert processor.is_control(count)
    assert processor.is_control(count + 1)
    assert processor.encode("hello<mark>hello", out_type=str) == ["▁hello", "<mark>", "hello"]


@pytest.mark.parametrize("content", [b"IQ== 0\nIg== 1\n", b"\x0a\xff", b"\x0a\x02\x0a\x05", b"\xff" * 20])
def test_what_is_no_sentencepiece_model_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="broken"):
        read_pieces(content)
