"""How texts begin and end, and how tokens are chosen, follows from all files of a source that say it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generator_export.end_tokens import end_token_ids
from generator_export.gguf_source import read_gguf
from generator_export.huggingface_source import read_huggingface
from generator_export.sampling_defaults import DRAWN_FROM, from_generation_config
from generator_export.source import TextSide
from generator_export.special_tokens import BY_CLASS
from tiny_models import (
    END,
    TinyVocabulary,
    tiny_model,
    tiny_tokenizer_json,
    tiny_tokens,
    write_gguf,
    write_safetensors,
)

TEMPLATE = tiny_tokenizer_json()["post_processor"]
OWN_WAY = ["LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizerFast", "GemmaTokenizer", "CohereTokenizerFast"]


def text_of(folder: Path, processor: Any = None, vocabulary: int = 320, **settings: Any) -> TextSide:
    write_safetensors(folder, tiny_model("llama", num_hidden_layers=1, vocab_size=vocabulary))
    (folder / "tokenizer.json").write_text(json.dumps(tiny_tokenizer_json() | {"post_processor": processor}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"} | settings))
    return read_huggingface(folder).text


@pytest.mark.parametrize("class_name", OWN_WAY)
@pytest.mark.parametrize(
    ("template", "flag", "leads"),
    [
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, True),
        (False, True, True),
        (False, False, False),
    ],
)
def test_classes_with_a_way_of_their_own_heed_the_flag(
    tmp_path: Path, class_name: str, template: bool, flag: bool | None, leads: bool
) -> None:
    settings = {} if flag is None else {"add_bos_token": flag}
    text = text_of(tmp_path, TEMPLATE if template else None, tokenizer_class=class_name, **settings)
    assert text.leading_token_id == (1 if leads else None)


@pytest.mark.parametrize(
    "settings", [{}, {"tokenizer_class": "PreTrainedTokenizerFast"}, {"tokenizer_class": "Qwen2Tokenizer"}]
)
@pytest.mark.parametrize("flag", [None, True, False])
def test_other_classes_do_what_the_tokenizer_says(tmp_path: Path, settings: dict[str, Any], flag: bool | None) -> None:
    if flag is not None:
        settings = {**settings, "add_bos_token": flag}
    assert text_of(tmp_path, TEMPLATE, **settings).leading_token_id == 1
    assert text_of(tmp_path, None, **settings).leading_token_id is None
    without = {**TEMPLATE, "single": TEMPLATE["single"][1:]}
    assert text_of(tmp_path, without, **settings).leading_token_id is None


def test_a_template_that_has_no_first_token_beats_the_class(tmp_path: Path) -> None:
    """As transformers saves its tokenizers."""
    without = {**TEMPLATE, "single": TEMPLATE["single"][1:]}
    assert text_of(tmp_path, without, tokenizer_class="LlamaTokenizer").leading_token_id is None


def test_a_tokenizer_that_needs_nothing_else_is_left_as_it_is(tmp_path: Path) -> None:
    text = text_of(tmp_path, TEMPLATE)
    assert text.files == {"tokenizer.json": (tmp_path / "tokenizer.json").read_bytes()}
    assert text.notes == []


def test_flags_of_the_settings_beat_those_of_the_tokenizer(tmp_path: Path) -> None:
    decoder = {"1": {"content": "<s>", "special": True, "lstrip": True, "rstrip": False, "normalized": False}}
    text = text_of(tmp_path, added_tokens_decoder=decoder)
    added = json.loads(text.files["tokenizer.json"])["added_tokens"]
    assert [token["lstrip"] for token in added] == [False, True, False]
    # A role alone changes none.
    assert json.loads(text_of(tmp_path, eos_token="<s>").files["tokenizer.json"])["added_tokens"][1]["lstrip"] is False


def test_a_role_makes_a_token_of_the_vocabulary_special(tmp_path: Path) -> None:
    text = text_of(tmp_path, eos_token="the")
    token_id = tiny_tokenizer_json()["model"]["vocab"]["the"]
    added = {token["content"]: token for token in json.loads(text.files["tokenizer.json"])["added_tokens"]}
    assert (added["the"]["id"], added["the"]["special"]) == (token_id, True)
    assert token_id in text.end_token_ids


def test_special_tokens_of_a_folder_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    text = text_of(
        tmp_path,
        tokenizer_class="PreTrainedTokenizerFast",
        unk_token="<unk>",
        pad_token={"content": "[PAD]", "special": True, "__type": "AddedToken"},
        sep_token=None,
        mask_token="the",
        extra_special_tokens={"think_token": "<think>"},
        image_token="<image>",
        audio_token={"content": "<audio>", "__type": "AddedToken"},
        add_bos_token=True,
        some_token=5,
    )
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert {"bos_token": text.bos_token, "eos_token": text.eos_token, **text.more_tokens} == theirs.special_tokens_map
    assert len(text.more_tokens) == 6
    added = {each["content"]: each["id"] for each in json.loads(text.files["tokenizer.json"])["added_tokens"]}
    assert set(text.more_tokens.values()) <= set(added)
    listed = text_of(tmp_path / "list", extra_special_tokens=["<think>"])
    assert listed.more_tokens == {}
    assert "<think>" in listed.files["tokenizer.json"].decode()


@pytest.mark.parametrize("class_name", list(BY_CLASS))
def test_a_class_has_the_tokens_that_transformers_gives_it(class_name: str) -> None:
    import transformers

    assert getattr(transformers, class_name)().special_tokens_map == BY_CLASS[class_name]


def test_tokens_beyond_the_models_are_left_out(tmp_path: Path) -> None:
    size = len(tiny_tokenizer_json()["model"]["vocab"])
    text = text_of(tmp_path, pad_token="[PAD]", vocabulary=size)
    assert "[PAD]" not in text.files["tokenizer.json"].decode()
    assert text.notes == [f"token '[PAD]' is left out: the model has no more than {size} tokens"]
    assert "[PAD]" in text_of(tmp_path / "b", pad_token="[PAD]", vocabulary=size + 1).files["tokenizer.json"].decode()


@pytest.mark.parametrize(
    ("named", "special", "expected"),
    [
        ([2], {}, [2]),
        ([7, 2, 7], {"<|im_end|>": 3, "<|im_start|>": 4}, [2, 3, 7]),
        ([], {"<end_of_turn>": 5, "<eos>": 1}, [1, 5]),
        # Of a model whose answers have parts that end with this.
        ([], {"<|return|>": 1, "<|call|>": 2, "<|end|>": 3}, [1, 2]),
        ([], {"<|end|>": 3}, [3]),
        ([], {}, []),
    ],
)
def test_ends_are_those_named_and_those_whose_names_say_it(
    named: list[int], special: dict[str, int], expected: list[int]
) -> None:
    assert end_token_ids(named, special) == expected


def test_end_tokens_come_from_all_files(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama", eos_token_id=[4]))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 5, 7]}))
    assert read_huggingface(folder).text.end_token_ids == [END, 4, 5, 7]


FILLING_IN = ["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]


@pytest.mark.parametrize(
    ("named", "ends"),
    [
        ({}, ["<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]),
        # Who is named is who is meant, and nobody else.
        ({"fim_pad": "the"}, ["the", "<|repo_name|>", "<|file_sep|>"]),
        ({"fim_rep": "the", "fim_sep": "an"}, ["the", "an", "<|fim_pad|>"]),
        ({"fim_pre": "the", "fim_mid": "an"}, ["<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]),
    ],
)
def test_what_comes_behind_a_filled_in_middle_is_an_end_of_a_gguf_model(
    tmp_path: Path, named: dict[str, str], ends: list[str]
) -> None:
    """As llama.cpp has it."""
    tokens = [*tiny_tokens(), *FILLING_IN]
    types = [3] * 3 + [1] * (len(tokens) - 3)
    metadata = {f"tokenizer.ggml.{role}_token_id": tokens.index(text) for role, text in named.items()}
    vocabulary = TinyVocabulary(tokens=tokens, types=types)
    text = read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model("llama"), "F32", vocabulary, metadata)).text
    assert text.end_token_ids == sorted([END, *(tokens.index(end) for end in ends)])
    # A text of somebody else must not hold one.
    special = {token["content"] for token in json.loads(text.files["tokenizer.json"])["added_tokens"]}
    assert special == {"<unk>", "<s>", "</s>", *(end for end in ends if end in FILLING_IN)}


def test_an_end_that_is_no_token_is_left_out(tmp_path: Path) -> None:
    folder = write_safetensors(tmp_path, tiny_model("llama", eos_token_id=100000))
    text = read_huggingface(folder).text
    assert (text.end_token_ids, text.notes) == (
        [END],
        ["config.json: eos_token_id 100000 is none of the 320 tokens: left out"],
    )
    path = write_gguf(tmp_path / "a.gguf", tiny_model("llama"), metadata={"tokenizer.ggml.eot_token_id": 100000})
    assert read_gguf(path).text.notes == ["tokenizer.ggml.eot_token_id is 100000, and there are 266 tokens: left out"]


@pytest.mark.parametrize(
    ("values", "defaults"),
    [
        ({}, {}),
        ({"temperature": 0.6, "top_p": 0.9, "top_k": 50}, {"temperature": 0.6, "top_p": 0.9, "top_k": 50}),
        (
            {"do_sample": True, "temperature": 1, "min_p": 0.1, "top_k": 0},
            {"temperature": 1.0, "min_p": 0.1, "top_k": 0},
        ),
        # As many as transformers draws from.
        ({"do_sample": True}, {"top_k": 50}),
        ({"do_sample": True, "top_k": None, "top_p": 0.9}, {"top_k": 50, "top_p": 0.9}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"do_sample": False, "temperature": 0.6, "top_k": 5}, {"temperature": 0.0}),
        ({"do_sample": False, "repetition_penalty": 1.1}, {"temperature": 0.0, "repetition_penalty": 1.1}),
        ({"top_k": -1, "temperature": None}, {"top_k": 0}),
        ({"top_k": (1 << 63) - 1}, {"top_k": (1 << 63) - 1}),
        ({"top_k": 3.0}, {"top_k": 3}),
    ],
)
def test_sampling_defaults_are_those_of_the_authors(values: dict[str, Any], defaults: dict[str, Any]) -> None:
    assert from_generation_config(values) == (defaults, [])


@pytest.mark.parametrize(
    "values",
    [
        {"top_p": 0.0},
        {"temperature": -1},
        {"top_k": 1.5},
        {"top_k": 1 << 63},
        {"top_k": 10**400},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"min_p": "x"},
        {"top_p": True},
    ],
)
def test_defaults_that_the_server_would_refuse_are_left_out(values: dict[str, Any]) -> None:
    defaults, (note,) = from_generation_config(values)
    (name,) = values
    assert defaults == {}
    assert note.startswith(f"generation_config.json: {name} is ")
    assert note.endswith("does not take: left out")


def test_tokens_are_drawn_from_as_many_as_transformers_draws_from() -> None:
    from transformers import GenerationConfig

    assert GenerationConfig._get_default_generation_params()["top_k"] == DRAWN_FROM


def test_a_gguf_file_has_sampling_defaults_too(tmp_path: Path) -> None:
    metadata = {"general.sampling.temp": 0.6, "general.sampling.top_k": 20, "general.sampling.penalty_repeat": 1.1}
    text = read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model("llama"), metadata=metadata)).text
    assert text.defaults == {"temperature": 0.6, "top_k": 20, "repetition_penalty": 1.1}
