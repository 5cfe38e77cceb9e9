"""Makes tokenizers of many kinds with the library of Hugging Face, trained on the corpus."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizer_corpus import corpus, decoded

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = [
    r"[\r\n]",
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+",
    r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    r"\s+$",
    r"[一-龥ࠀ-一가-퟿]+",
]
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Tokens that stand for themselves, with every flag.
ADDED = [
    AddedToken("<mask>", lstrip=True, special=True, normalized=False),
    AddedToken("</think>", rstrip=True, normalized=False),
    AddedToken("<think>", normalized=False),
    AddedToken("word", single_word=True, normalized=True),
    AddedToken("Straße", normalized=True),
    AddedToken("\u212b", normalized=True, lstrip=True, rstrip=True),
    AddedToken("  ", normalized=False),
    AddedToken("[INST]", special=True, normalized=True),
]


def _split(pattern: str | Regex, behavior: str = "isolated", invert: bool = False) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(pattern, behavior, invert)


def _byte_level(*before: pre_tokenizers.PreTokenizer, prefix: bool = False, regex: bool = False) -> Any:
    return pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)])


def _train(
    pre_tokenizer: Any, normalizer: Any = None, special: list[str] | None = None, vocab: int = 2000
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=CHAT if special is None else special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # As with real ones, no merge makes a special token.
    strings = (decoded(string) for string in corpus()[::3])
    tokenizer.train_from_iterator((string for string in strings if not set("<|>") & set(string)), trainer)
    return tokenizer


def _edited(tokenizer: Tokenizer, **model: Any) -> dict[str, Any]:
    """The file of a tokenizer with other settings of the model."""
    file = json.loads(tokenizer.to_str())
    file["model"].update(model)
    return file


def smollm() -> dict[str, Any]:
    return _edited(_train(_byte_level(pre_tokenizers.Digits(individual_digits=True), regex=True)))


def gpt2() -> dict[str, Any]:
    file = _edited(_train(pre_tokenizers.ByteLevel(add_prefix_space=True)))
    file["added_tokens"][0]["normalized"] = True
    # As older files have them.
    file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"]]
    return file


def llama3() -> dict[str, Any]:
    tokenizer = _train(_byte_level(_split(Regex(LLAMA3))))
    bos = CHAT[0]
    template = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B:1", special_tokens=[(bos, 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return _edited(tokenizer, ignore_merges=True)


def qwen2() -> dict[str, Any]:
    tokenizer = _train(_byte_level(_split(Regex(QWEN2))), normalizers.NFC())
    tokenizer.add_tokens(ADDED)
    return _edited(tokenizer)


def compatibility() -> dict[str, Any]:
    forms = [normalizers.NFKC(), normalizers.Replace(Regex(r"\d{3,}"), "#"), normalizers.Replace("  ", " ")]
    tokenizer = _train(_byte_level(_split(Regex(CL100K)), prefix=True), normalizers.Sequence(forms))
    tokenizer.add_tokens(ADDED)
    return _edited(tokenizer)


def decomposed() -> dict[str, Any]:
    tokenizer = _train(_byte_level(_split(Regex(O200K))), normalizers.NFD())
    tokenizer.add_tokens(ADDED)
    return _edited(tokenizer)


def deepseek() -> dict[str, Any]:
    splits = [_split(Regex(pattern)) for pattern in DEEPSEEK]
    return _edited(_train(_byte_level(*splits, pre_tokenizers.Digits(individual_digits=False)), normalizers.NFKD()))


def whole() -> dict[str, Any]:
    """Whatever is between two special tokens is one word."""
    return _edited(_train(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)))


def _sentencepiece_like(file: dict[str, Any], strip: bool) -> dict[str, Any]:
    byte_tokens = {f"<0x{byte:02X}>" for byte in range(256)}
    file["added_tokens"] = [token for token in file["added_tokens"] if token["content"] not in byte_tokens]
    steps: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))
    whole_file = Tokenizer(models.BPE())
    whole_file.decoder = decoder
    file["decoder"] = json.loads(whole_file.to_str())["decoder"]
    return file


def llama2() -> dict[str, Any]:
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = _train(None, normalizers.Sequence(steps), special, vocab=5000)
    return _sentencepiece_like(_edited(tokenizer, unk_token="<unk>", fuse_unk=True, byte_fallback=True), strip=True)


def gemma() -> dict[str, Any]:
    special = ["<unk>", "<s>", "</s>", "<start_of_turn>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = _train(_split(" ", "merged_with_previous"), normalizers.Replace(" ", "▁"), special, vocab=5000)
    return _sentencepiece_like(_edited(tokenizer, unk_token="<unk>", fuse_unk=True, byte_fallback=True), strip=False)


def metaspace(scheme: str, split: bool, decoder: Any = None, normalizer: Any = None, **model: Any) -> dict[str, Any]:
    """As newer files of the Llama family have it; with `decoder`, as the library's own SentencePieceBPETokenizer."""
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = _train(pre_tokenizers.Metaspace("▁", scheme, split), normalizer, special, vocab=4000)
    # The library forgets that a token is special if its normalizer changes it.
    tokenizer.add_tokens([token for token in ADDED if normalizer is None or token.content != "[INST]"])
    settings = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True} | model
    file = _sentencepiece_like(_edited(tokenizer, **settings), strip=scheme != "never")
    if decoder is not None:
        whole_file = Tokenizer(models.BPE())
        whole_file.decoder = decoder
        file["decoder"] = json.loads(whole_file.to_str())["decoder"]
    # A training's settings, which have nothing to do with serving.
    file["truncation"] = {"max_length": 8, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    file["padding"] = {"strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": None}
    file["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}
    return file


def falcon() -> dict[str, Any]:
    """Cuts what ByteLevel has written."""
    steps = [pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    steps += [pre_tokenizers.Digits(individual_digits=False), _split(Regex("[0-9][0-9][0-9]"))]
    return _edited(_train(pre_tokenizers.Sequence(steps)))


def delimited(step: Any) -> dict[str, Any]:
    """What is cut off is lost."""
    return _edited(_train(_byte_level(step)), byte_fallback=False)


def characters(**model: Any) -> dict[str, Any]:
    """Without byte tokens: rare characters are unknown, or left out."""
    file = _edited(_train(_split(Regex(r"\s+"), "merged_with_next"), None, ["<unk>", "<s>"], vocab=1500), **model)
    # Of the bytes that other tokens need no character is left to be unknown.
    vocabulary = file["model"]["vocab"]
    for character in ("a", "é", "中", "=", "字", "0"):
        vocabulary.pop(character, None)
    file["model"]["merges"] = [
        pair for pair in file["model"]["merges"] if all(part in vocabulary for part in (*pair, "".join(pair)))
    ]
    return file


MODELS: dict[str, Callable[[], dict[str, Any]]] = {
    "smollm": smollm,
    "gpt2": gpt2,
    "llama3": llama3,
    "qwen2": qwen2,
    "compatibility": compatibility,
    "decomposed": decomposed,
    "deepseek": deepseek,
    "whole": whole,
    "llama2": llama2,
    "gemma": gemma,
    "falcon": falcon,
    "punctuation": lambda: delimited(pre_tokenizers.Punctuation()),
    "whitespace_split": lambda: delimited(pre_tokenizers.WhitespaceSplit()),
    "delimiter_split": lambda: delimited(pre_tokenizers.CharDelimiterSplit("e")),
    "metaspace_first": lambda: metaspace("first", False),
    "metaspace_first_split": lambda: metaspace("first", True, decoders.Metaspace("▁", "first")),
    "metaspace_always": lambda: metaspace("always", True, decoders.Metaspace("▁", "always"), byte_fallback=False),
    "metaspace_always_whole": lambda: metaspace("always", False),
    "metaspace_never": lambda: metaspace("never", True, decoders.Metaspace("▁", "never")),
    "metaspace_stripped": lambda: metaspace(
        "first", True, None, normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()])
    ),
    "unknown": lambda: characters(unk_token="<unk>", fuse_unk=False),
    "fused_unknown": lambda: characters(unk_token="<unk>", fuse_unk=True),
    "no_unknown": lambda: characters(unk_token=None),
}

COMMON = ("smollm", "gpt2", "llama3", "qwen2", "llama2")

# Pre-tokenizers that exist for single things, for a part of the corpus.
SPLITS: dict[str, Any] = {
    f"{behavior}_{'inverted' if invert else 'plain'}": _split(Regex(r"[aeiou]|\s"), behavior, invert)
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")
    for invert in (False, True)
}


def regex_model(vocabulary: dict[str, Any], pattern: str) -> dict[str, Any]:
    """A file with another pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _byte_level(_split(Regex(pattern)))
    return vocabulary | {"pre_tokenizer": json.loads(tokenizer.to_str())["pre_tokenizer"]}


def split_model(vocabulary: dict[str, Any], name: str) -> dict[str, Any]:
    """A file with another pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _byte_level(SPLITS[name])
    return vocabulary | {"pre_tokenizer": json.loads(tokenizer.to_str())["pre_tokenizer"]}


def save(file: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(file), encoding="utf-8")
    return folder
