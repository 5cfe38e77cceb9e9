"""The table of kinds of models that the exporter must take: how each is made, and what it must come to."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from generator_makers import (
    ADDED,
    CHAT,
    END,
    FIRST_MARK,
    LEADING,
    MARKS,
    SENTENCEPIECE,
    SENTENCEPIECE_WITH_MARK,
    Kind,
    another_head,
    as_pickles,
    folder,
    gguf,
    half_tied,
    headless,
    in_shards,
    pieces_of,
    saved_sentencepiece,
    scaled,
    sentencepiece_gguf,
    small,
    split_gguf,
    tokenizer_file,
)
from tiny_models import TinyModel, tiny_merges, tiny_tokens

EOS_ELSEWHERE = {"eos_token": "<|im_end|>"}
NO_MARKS = tokenizer_file(marks=False)
VOCABULARY_JSON = {token: i for i, token in enumerate(tiny_tokens())}
MERGES_TXT = "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in tiny_merges())
DECODER = {str(FIRST_MARK + i): {"content": mark, "special": i < 2} for i, mark in enumerate(MARKS)}
SENTENCEPIECE_FILES = {"tokenizer.json": None, "tokenizer.model": SENTENCEPIECE, "added_tokens.json": ADDED}
YARN: dict[str, Any] = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
LONG = {"long_factor": [4.0] * 16, "short_factor": [1.0 + i / 16 for i in range(16)]}


def leading(text: str) -> list[int]:
    return [1, *byte_level().encode(text).ids]


def without_leading(text: str) -> list[int]:
    return byte_level().encode(text).ids


@cache
def byte_level() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps(tokenizer_file()))


def named_templates(**templates: str) -> dict[str, Any]:
    return {"chat_template": [{"name": name, "template": template} for name, template in templates.items()]}


def unsaid(key: str) -> TinyModel:
    model = small("mistral")
    return TinyModel({name: value for name, value in model.config.items() if name != key}, model.tensors)


def asks(**sampling: Any) -> dict[str, Any]:
    return {"generation_config.json": {"eos_token_id": END, **sampling}}


def gguf_scaling(**keys: Any) -> dict[str, Any]:
    return {f"llama.rope.scaling.{key}": value for key, value in keys.items()}


KINDS = {
    # How texts begin.
    "no-template": Kind(folder()),
    "template-with-bos": Kind(folder(tokenizer=tokenizer_file(post_processor=LEADING))),
    "class-adds-bos": Kind(
        folder(settings={"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>"}), encode=leading
    ),
    "flag-adds-bos": Kind(
        folder(settings={"tokenizer_class": "CodeLlamaTokenizer", "bos_token": "<s>", "add_bos_token": True}),
        encode=leading,
    ),
    "flag-takes-bos-away": Kind(
        folder(
            tokenizer=tokenizer_file(post_processor=LEADING),
            settings={"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>", "add_bos_token": False},
        ),
        encode=without_leading,
    ),
    "an-end-behind-texts": Kind(
        folder(tokenizer=tokenizer_file(post_processor={**LEADING, "single": LEADING["single"][::-1]})),
        encode=without_leading,
        notes=("behind every text",),
    ),
    # Which tokens are special, and which end an answer.
    "added-tokens-decoder": Kind(
        folder(tokenizer=NO_MARKS, settings={"added_tokens_decoder": DECODER, **EOS_ELSEWHERE, "chat_template": CHAT}),
        chats=True,
    ),
    "added-tokens-json": Kind(
        folder(
            tokenizer=NO_MARKS,
            settings={"chat_template": CHAT},
            files={
                "added_tokens.json": {mark: FIRST_MARK + i for i, mark in enumerate(MARKS)},
                "special_tokens_map.json": {"eos_token": {"content": "<|im_end|>"}},
            },
        ),
        chats=True,
    ),
    "ends-everywhere": Kind(
        folder(
            small(eos_token_id=[2, 7]), settings=EOS_ELSEWHERE, files={"generation_config.json": {"eos_token_id": [9]}}
        ),
        ends=(7, 9, "<|im_end|>"),
    ),
    "a-well-known-end": Kind(folder(settings={"chat_template": CHAT}), chats=True),
    "padded-and-cut": Kind(
        folder(
            tokenizer=tokenizer_file(
                truncation={"max_length": 4, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
            )
            | {"padding": None},
            settings={"pad_token": "[PAD]", "additional_special_tokens": [f"<{i}>" for i in range(40)]},
        ),
        encode=without_leading,
        notes=("22 tokens are left out",),
    ),
    "vocabulary-and-merges": Kind(
        folder(
            settings={"tokenizer_class": "GPT2Tokenizer", "unk_token": "<unk>", "bos_token": "<s>"},
            files={"tokenizer.json": None, "vocab.json": VOCABULARY_JSON, "merges.txt": MERGES_TXT},
        ),
        ends=(),
    ),
    "qwen-vocabulary-and-merges": Kind(
        folder(
            small("qwen2"),
            settings={"tokenizer_class": "Qwen2Tokenizer", "unk_token": "<unk>", "pad_token": "</s>"},
            files={"tokenizer.json": None, "vocab.json": VOCABULARY_JSON, "merges.txt": MERGES_TXT},
        ),
        ends=(),
    ),
    "sentencepiece-with-added-tokens": Kind(
        folder(
            settings={"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", **EOS_ELSEWHERE, "chat_template": CHAT},
            files=SENTENCEPIECE_FILES,
        ),
        encode=pieces_of,
    ),
    "sentencepiece-of-today": Kind(
        folder(
            settings={"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "legacy": False, "chat_template": CHAT},
            files=SENTENCEPIECE_FILES,
        ),
        encode=pieces_of,
        chats=True,
    ),
    "sentencepiece-without-bos": Kind(
        folder(settings={"tokenizer_class": "LlamaTokenizer", "add_bos_token": False}, files=SENTENCEPIECE_FILES),
        encode=lambda text: pieces_of(text, leading=False),
    ),
    # What the text behind a token begins with depends on `legacy`, on whether it is said, and on the class.
    **{
        f"sentencepiece-{'of-no-class' if class_name is None else class_name}-legacy-{legacy}": Kind(
            folder(
                settings={
                    "tokenizer_class": class_name,
                    "add_bos_token": True,
                    "chat_template": CHAT + "<mark>{{ messages[0].content }}<s>{{ messages[0].content }}",
                    **EOS_ELSEWHERE,
                    **({} if legacy == "missing" else {"legacy": legacy}),
                },
                files=SENTENCEPIECE_FILES | {"tokenizer.model": SENTENCEPIECE_WITH_MARK},
            ),
            chats=True,
        )
        for class_name in ("LlamaTokenizer", "CodeLlamaTokenizer", None)
        for legacy in ("missing", True, False, None)
    },
    "sentencepiece-saved": Kind(saved_sentencepiece(legacy=False), ends=()),
    "sentencepiece-saved-long-ago": Kind(saved_sentencepiece(legacy=True), ends=()),
    # How tokens are chosen.
    "greedy-by-default": Kind(folder(files=asks(do_sample=False, temperature=5.0, top_p=0.9)), greedy=True),
    "nearly-greedy-by-default": Kind(folder(files=asks(do_sample=True, temperature=5.0, top_k=1)), greedy=True),
    "gguf-greedy-by-default": Kind(
        gguf(metadata={"general.sampling.temp": 0.0, "general.sampling.top_p": 0.9}), same_as=folder(), greedy=True
    ),
    # How chats are put into words.
    "template-file": Kind(
        folder(settings={"chat_template": "wrong"}, files={"chat_template.jinja": CHAT}),
        chats=True,
    ),
    "template-of-several": Kind(folder(settings=named_templates(tool_use="wrong", default=CHAT)), chats=True),
    "template-for-training": Kind(
        folder(
            settings={
                "chat_template": CHAT.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}")
            }
        ),
        chats=True,
    ),
    "template-with-more-tokens": Kind(
        folder(
            settings={
                "unk_token": "<unk>",
                "pad_token": "<tool>",
                "extra_special_tokens": {"think_token": "<|im_start|>"},
                "chat_template": "{{ unk_token }}{{ think_token }}{{ sep_token }}" + CHAT + "{{ pad_token }}",
            }
        ),
        chats=True,
    ),
    "template-given": Kind(
        folder(settings={"chat_template": "{% wrong %}"}),
        same_as=folder(settings={"chat_template": CHAT}),
        chats=True,
        options={"chat_template": CHAT},
    ),
    # How positions are turned, and what attention sees.
    "linear-scaling": Kind(scaled(type="linear", factor=4.0)),
    "dynamic-scaling": Kind(scaled(rope_type="dynamic", factor=2.0)),
    "llama3-scaling": Kind(
        scaled(
            rope_type="llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=64,
        )
    ),
    "yarn-scaling": Kind(scaled("qwen2", **YARN)),
    "yarn-scaling-with-mscale": Kind(scaled(**YARN, mscale=0.7, mscale_all_dim=1.0, beta_fast=16)),
    "longrope-short": Kind(
        scaled("mistral", type="longrope", original_max_position_embeddings=256, **LONG),
        options={"max_length": 256},
    ),
    "longrope-long": Kind(
        # transformers chooses by the length of what it runs: that is longer.
        scaled("llama", type="longrope", original_max_position_embeddings=8, **LONG),
    ),
    "window": Kind(folder(small("mistral", sliding_window=128)), notes=("sliding window of 128",)),
    "window-that-is-not-used": Kind(folder(small("qwen2", sliding_window=4, use_sliding_window=False))),
    # Where the weights are.
    "shards-beside-another-layout": Kind(folder(save=in_shards)),
    "pickles": Kind(folder(save=as_pickles)),
    "tied-twice": Kind(folder(save=half_tied)),
    "tied-and-not": Kind(folder(save=another_head), notes=("there is another head",)),
    "without-a-head": Kind(folder(save=headless)),
    "biases": Kind(
        folder(small(attention_bias=True, mlp_bias=True, tie_word_embeddings=False)),
        notes=("attention's output has a bias",),
    ),
    "wide-heads": Kind(folder(small("qwen3", head_dim=96))),
    "key-heads-by-the-weights": Kind(folder(unsaid("num_key_value_heads")), same_as=folder(small("mistral"))),
    "null-for-defaults": Kind(
        folder(small(num_key_value_heads=2).with_config(num_key_value_heads=None, head_dim=None))
    ),
    # GGUF files.
    "gguf": Kind(gguf(), same_as=folder(settings={"chat_template": CHAT}), chats=True),
    "gguf-split": Kind(split_gguf, same_as=folder(settings={"chat_template": CHAT}), chats=True),
    "gguf-llama-bpe": Kind(gguf(pre="llama-bpe"), same_as=folder(), encode=leading),
    "gguf-without-bos": Kind(
        gguf(pre="llama3", flags={"add_bos_token": False}),
        same_as=folder(),
        encode=without_leading,
    ),
    "gguf-tekken": Kind(gguf(pre="tekken"), same_as=folder(), encode=leading),
    "gguf-qwen2": Kind(
        gguf(small("qwen2"), pre="deepseek-r1-qwen"),
        same_as=folder(small("qwen2")),
        encode=without_leading,
    ),
    "gguf-with-ends": Kind(
        gguf(metadata={"tokenizer.ggml.eot_token_id": 7, "tokenizer.ggml.eos_token_ids": [9, 11]}),
        same_as=folder(),
        ends=(7, 9, 11, "<|im_end|>"),
    ),
    "gguf-with-marks-as-text": Kind(gguf(types=(1, 1, 1)), same_as=folder(), encode=without_leading),
    "gguf-linear-scaling": Kind(
        gguf(metadata=gguf_scaling(type="linear", factor=4.0)),
        same_as=scaled(type="linear", factor=4.0),
    ),
    "gguf-scaling-of-no-type": Kind(
        gguf(metadata=gguf_scaling(factor=4.0)),
        same_as=scaled(type="linear", factor=4.0),
    ),
    "gguf-yarn-scaling": Kind(
        gguf(metadata=gguf_scaling(type="yarn", factor=4.0, original_context_length=128)),
        same_as=scaled(**YARN),
    ),
    "gguf-biases": Kind(
        gguf(small(attention_bias=True, mlp_bias=True)),
        same_as=folder(small(attention_bias=True, mlp_bias=True)),
        notes=("attention's output has a bias",),
    ),
    "gguf-sentencepiece": Kind(sentencepiece_gguf(), same_as=folder(), encode=pieces_of),
    "gguf-sentencepiece-with-marks-as-text": Kind(sentencepiece_gguf(added=(1, 1)), same_as=folder(), encode=pieces_of),
    "gguf-sentencepiece-without-bos": Kind(
        sentencepiece_gguf(add_bos_token=False),
        same_as=folder(),
        encode=lambda text: pieces_of(text, leading=False),
    ),
}
