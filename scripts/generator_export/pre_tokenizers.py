"""How models with byte-level BPE cut text into the pieces within which tokens are merged, by the names of GGUF files.

The patterns are those of the models' own tokenizer.json files; llama.cpp uses others that match the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PreTokenizer:
    """Cuts at the matches of one pattern after the other."""

    patterns: Sequence[str]
    # Whether a piece that is a token is used whole instead of being merged from its bytes.
    ignore_merges: bool = False
    normalizer: str | None = None
    # Whether a text begins with a special token if the file does not say.
    adds_bos: bool = False


_GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_GPT2 = _GPT2_WORDS + r"|\s+"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_CJK = "[一-龥\u3040-ゟ゠-ヿ]+"
# The letters that have case, according to Unicode at that time. Some look like other letters and would be mistaken for
# them if they were not written as numbers.
_LATIN_AND_OTHERS = (
    "[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ"
    "\u1f5f-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌ\u1fd0-\u1fd3\u1fd6-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄ"
    "Ⰰ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)
_ASIAN = "[一-龥\u0800-一가-\ud7ff]+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _digits_together(digits: str, endings: str = _ENDINGS, marks: str = r"[\r\n]*") -> str:
    """Llama 3's pattern and its successors, which differ in how many digits stay together."""
    return rf"{endings}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+{marks}|{_SPACES}"


def _cased(digits: str, endings: str = "") -> str:
    """GPT-4o's pattern and its successors, which also cut before capital letters."""
    word = r"[^\r\n\p{L}\p{N}]?"
    return (
        rf"{word}{_UPPER}*{_LOWER}+{endings}|{word}{_UPPER}+{_LOWER}*{endings}|{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
    )


_SYMBOLS_FIRST = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}"
)


_LLAMA3 = PreTokenizer((_digits_together(r"\p{N}{1,3}"),), ignore_merges=True, adds_bos=True)
_THREE_DIGITS = PreTokenizer((_digits_together(r"\p{N}{1,3}"),))
_ONE_DIGIT = PreTokenizer((_digits_together(r"\p{N}"),))
_NORMALIZED = PreTokenizer((_digits_together(r"\p{N}"),), normalizer="NFC")
_PLAIN_GPT2 = PreTokenizer((_GPT2,))
_GPT2_DIGITS = PreTokenizer((r"\p{N}", _GPT2))
_WORDS = r" ?[^(\s|.,!?…。，、।۔،)]+"
_GPT4O = PreTokenizer((_cased(r"\p{N}{1,3}", rf"{_ENDINGS}?"),))
_DEEPSEEK_V3 = PreTokenizer((r"\p{N}{1,3}", _CJK, _SYMBOLS_FIRST))
_BAILING = PreTokenizer(
    (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",)
)

# By the names in tokenizer.ggml.pre. Those that merge characters instead of bytes, and those that look further ahead
# than the server's patterns can, are left out.
PRE_TOKENIZERS = {
    "default": PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2_WORDS, r"\p{N}+", r"[0-9][0-9][0-9]")),
    **dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"),
        _LLAMA3,
    ),
    **dict.fromkeys(("dbrx", "smaug-bpe", "glm4", "chatglm-bpe"), _THREE_DIGITS),
    "qwen2": _NORMALIZED,
    **dict.fromkeys(
        ("deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"), _ONE_DIGIT
    ),
    **dict.fromkeys(
        (
            "gpt-2",
            "phi-2",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ),
        _PLAIN_GPT2,
    ),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"), _GPT2_DIGITS
    ),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"), _GPT4O),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"), _DEEPSEEK_V3),
    **dict.fromkeys(("bailingmoe", "bailingmoe2", "llada-moe"), _BAILING),
    **dict.fromkeys(("poro-chat", "bloom", "gpt3-finnish"), PreTokenizer((_WORDS,))),
    "viking": PreTokenizer((_WORDS, r"\p{N}")),
    "tekken": PreTokenizer((_cased(r"\p{N}"),), ignore_merges=True, adds_bos=True),
    "falcon": PreTokenizer((r"[\p{P}\$\+<=>\^~\|`]+", _GPT2_WORDS, r"[0-9][0-9][0-9]")),
    "deepseek-llm": PreTokenizer(
        (
            r"[\r\n]",
            rf"\s?{_LATIN_AND_OTHERS}",
            "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+",
            r"\s+$",
            _ASIAN,
            r"\p{N}+",
        )
    ),
    "deepseek-coder": PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _ASIAN, r"\p{N}")),
    "qwen35": PreTokenizer(
        (
            (
                rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
                rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
            ),
        ),
        normalizer="NFC",
    ),
    "seed-coder": PreTokenizer(
        (rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}",)
    ),
    "ufakzeka": PreTokenizer(
        (rf"[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}",),
    ),
    "laguna": PreTokenizer((r"[^\n]+|[\n]+", _digits_together(r"\p{N}"))),
    "youtu": PreTokenizer(
        (
            r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + _CJK,
            _cased(r"\p{N}", rf"{_ENDINGS}?"),
        ),
        ignore_merges=True,
    ),
    "minicpm5": PreTokenizer((r"\p{N}{1,3}", _digits_together(r"\p{N}+")), ignore_merges=True),
    "chameleon": PreTokenizer(
        (
            r"<sentinel:[0-9]+>",
            r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            r"([\t\n]|    |  )",
            r"\p{N}",
            r"[\p{P}!-/:-@\[-`{-~]",
            _GPT2,
        ),
        adds_bos=True,
    ),
}
