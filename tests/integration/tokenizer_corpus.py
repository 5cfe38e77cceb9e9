"""Strings that are hard to cut into tokens, the same ones in every run."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable

COUNT = 21_000

_WORDS = (
    "the quick brown fox don't I'll we're they've you'd it's she'm CAN'T WON'T o'clock naïve Straße ﬁancé İstanbul"
).split()
_CODE = [
    "for (int i = 0; i < n; ++i) {",
    "\treturn x->y[3];",
    "def f(x: int) -> str:",
    "    if a==b and c!=d:",
    "}\n\n\n",
    "std::vector<std::pair<int,int>> v;",
    "#include <map>\r\n",
    "x += 0x1F & ~mask;",
    "// TODO: 100%",
    '`ls -la | grep "a"`',
]
_SCRIPTS = [
    "日本語のテキスト",
    "中文字符，没有空格。",
    "한국어 문장",
    "العربية من اليمين",
    "עברית",
    "Русский текст",
    "ελληνικά",
    "हिन्दी में",
    "ไทยไม่มีช่องว่าง",
    "தமிழ்",
    "ქართული",
    "አማርኛ",
    "ﷺﷲ",
    "ⅣⅤ①②½¾",
    "٣٤٥ १२३ ௧௨ 十二",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚",
    "\U00020000\U0002a6b2",
]
_EMOJI = ["👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪🇯🇵", "❤️", "😀😃", "1️⃣", "🧑🏿‍🚀", "©️™"]
_MARKS = [
    "e\u0301",
    "a\u0323\u0307",
    "q\u0307\u0323",
    "\u0344\u0301",
    "Z\u0351\u036b\u0343",
    "\u1100\u1161\u11a8",
    "\u0958",
    "\u212b",
    "\u0f73\u0f71",
    "\u3099か\u3099",
    "o\u0328\u0304",
    "\u1e9b\u0323",
    "\u0300start",
]
_SPACES = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\u2009",
    "\u0085",
    "\v",
    "\f",
    "\u200b",
    "\u202f",
    "\ufeff",
    "\u1680",
]
_CONTROLS = [
    "\x00",
    "\x01",
    "\x07",
    "\x1b[31m",
    "\x7f",
    "\x9f",
    "\u200d",
    "\u2060",
    "\ufffd",
    "\ufffe",
    "\uffff",
    "\U0010ffff",
    "\ue000",
]
_PUNCTUATION = [
    *list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "…",
    "—",
    "“",
    "”",
    "¡",
    "«",
    "、",
    "。",
    "！",
    "★",
    "→",
    "▁",
    "▁▁",
    "Ġ",
    "Ċ",
]
_SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<s>",
    "</s>",
    "<unk>",
    "<think>",
    "</think>",
    "<0x0A>",
    "<0xE2>",
    "<mask>",
    "<|im_start",
    "|im_end|>",
    "<|im_<|im_end|>",
    "[INST]",
    "<start_of_turn>",
    "Straße",
    "word",
]
_BROKEN = [
    b"\xff",
    b"\xc0\xaf",
    b"\xe2\x82",
    b"\xe2\x82\x28",
    b"\xf0\x9f\x98",
    b"\xf0\x9f",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xf8\x88\x80\x80\x80",
    b"\xc3",
]


def corpus() -> list[bytes]:
    """At least 20,000 strings of any kind; many are not UTF-8."""
    rng = random.Random(20260101)
    kinds = [
        _sentence,
        _code,
        _script,
        _emoji,
        _marks,
        _digits,
        _whitespace,
        _control,
        _special,
        _any,
        _mixed,
        _mixed,
        _broken,
        _runs,
    ]
    fixed = [
        x.encode()
        for pool in (_WORDS, _CODE, _SCRIPTS, _EMOJI, _MARKS, _SPACES, _CONTROLS, _PUNCTUATION, _SPECIAL)
        for x in pool
    ]
    strings = [b"", *fixed, *_BROKEN]
    while len(strings) < COUNT:
        strings.append(kinds[len(strings) % len(kinds)](rng))
    return strings


def decoded(string: bytes) -> str:
    """What a library that takes only text gets."""
    return string.decode("utf-8", "replace")


def _sentence(rng: random.Random) -> bytes:
    words = rng.choices(_WORDS, k=rng.randint(1, 12))
    cases: list[Callable[[str], str]] = [str.lower, str.upper, str.title, str]
    words = [rng.choice(cases)(word) for word in words]
    return rng.choice([" ", " ", "  ", ", "]).join(words).encode() + rng.choice([b"", b".", b" ", b"?!\n", b"'s"])


def _code(rng: random.Random) -> bytes:
    return ("\n" + " " * rng.randint(0, 12)).join(rng.choices(_CODE, k=rng.randint(1, 5))).encode()


def _script(rng: random.Random) -> bytes:
    return rng.choice(["", " ", "\n"]).join(rng.choices(_SCRIPTS, k=rng.randint(1, 4))).encode()


def _emoji(rng: random.Random) -> bytes:
    return rng.choice(["", " "]).join(rng.choices(_EMOJI + _WORDS, k=rng.randint(1, 6))).encode()


def _marks(rng: random.Random) -> bytes:
    runs = [
        rng.choice("abcKﬁ가") + "".join(chr(rng.randint(0x300, 0x36F)) for _ in range(rng.randint(0, 6)))
        for _ in range(3)
    ]
    return "".join(rng.choices(_MARKS + runs, k=rng.randint(1, 8))).encode()


def _digits(rng: random.Random) -> bytes:
    numbers = ["".join(rng.choices("0123456789", k=rng.randint(1, 12))) for _ in range(rng.randint(1, 4))]
    return rng.choice([" ", ",", ".", "", "x", "-"]).join(numbers).encode()


def _whitespace(rng: random.Random) -> bytes:
    parts = [rng.choice(_SPACES) * rng.randint(1, 9) for _ in range(rng.randint(1, 5))]
    return rng.choice(["", "a", "!", "7", "'s"]).join(parts).encode() + rng.choice([b"", b"end", b"\n"])


def _control(rng: random.Random) -> bytes:
    return "".join(rng.choices(_CONTROLS + _WORDS + _SPACES, k=rng.randint(1, 8))).encode()


def _special(rng: random.Random) -> bytes:
    return "".join(rng.choices(_SPECIAL + _SPACES[:5] + _WORDS + _PUNCTUATION, k=rng.randint(1, 9))).encode()


def _any(rng: random.Random) -> bytes:
    """Characters from all over Unicode, but none that some library may not know yet."""
    limits = rng.choices([0x2FF, 0x2FFF, 0xFFFF, 0x2FFFF], k=rng.randint(1, 30))
    characters = [chr(rng.randint(0, limit)) for limit in limits]
    return "".join(c for c in characters if unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs")).encode()


def _mixed(rng: random.Random) -> bytes:
    pools = [_WORDS, _CODE, _SCRIPTS, _EMOJI, _MARKS, _SPACES, _CONTROLS, _PUNCTUATION, _SPECIAL]
    return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(2, 16))).encode()


def _broken(rng: random.Random) -> bytes:
    parts = [
        rng.choice(
            [
                rng.choice(_BROKEN),
                rng.choice(_WORDS).encode(),
                _mixed(rng)[: rng.randint(0, 20)],
                bytes([rng.randint(0, 255)]),
            ]
        )
        for _ in range(rng.randint(1, 6))
    ]
    return b"".join(parts)


def _runs(rng: random.Random) -> bytes:
    """One thing many times."""
    return b"".join(
        rng.choice([" ", "a", "ab", "\n", "1", "é", "!", "字", "\t ", "'"]).encode() * rng.randint(1, 60)
        for _ in range(rng.randint(1, 4))
    )
