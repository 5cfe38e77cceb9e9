"""Words in, words out: what goes with a generator's text, in folders that were changed by hand."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from grpc import StatusCode
from tokenizers import Tokenizer, decoders, pre_tokenizers

from generation import LENGTH, NAME, STOP, Streamed, generation_request, ids, stream_request
from predictd_process import PredictdProcess
from protocol import ROOT, Chat, ChatMessage, Client, TokenIds, field_violations, rpc_error

sys.path.append(str(ROOT / "scripts"))

from generator_export.chat_template import chat_template_json

END = 2
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
    "{% if enable_thinking is defined and not enable_thinking %}no{% endif %}{% if level %}{{ level }}{% endif %}"
)
DEFAULTS = """
[generator.defaults]
temperature = 0.5
top_k = 1
top_p = 0.9
min_p = 0.05
repetition_penalty = 1.5
presence_penalty = 0.25
frequency_penalty = -1
"""


def copy(generators: Path, repository: Path, name: str) -> Path:
    """A version's folder of a generator under another name."""
    shutil.copytree(generators / NAME, repository / name)
    return repository / name / "1"


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes), encoding="utf-8")


def with_template(version: Path, source: str) -> None:
    (version / "chat_template.json").write_bytes(chat_template_json(version, source, "<s>", "</s>"))


def written_with_spaces(version: Path) -> None:
    """The tokenizer writes a space as U+2581, puts one before each text, and takes it away again."""
    file = version / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    steps = Tokenizer.from_file(str(file))
    steps.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "first", False)
    fallback = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    steps.decoder = decoders.Sequence(fallback)
    changed = json.loads(steps.to_str())
    special = [token["content"] for token in tokenizer["added_tokens"]]
    words = ["\u2581", *"abcdefgh", "\u2581Paris", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {token: i for i, token in enumerate([*special, *words])}
    model = tokenizer["model"] | {"vocab": vocabulary, "merges": [], "byte_fallback": True, "unk_token": None}
    settings = {"pre_tokenizer": changed["pre_tokenizer"], "decoder": changed["decoder"], "model": model}
    change(
        file, **settings, truncation={"max_length": 4, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    )


@pytest.fixture(scope="module", name="repository")
def fixture_repository(generators: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("text") / "models"
    with_template(copy(generators, repository, "plain"), TEMPLATE)
    copy(generators, repository, "defaults")
    with (repository / "defaults/model.toml").open("a") as file:
        file.write(DEFAULTS)
    written_with_spaces(copy(generators, repository, "spaces"))
    with_template(copy(generators, repository, "dated"), "{{ strftime_now('%Y-%m-%d') }}")
    larger = copy(generators, repository, "larger") / "tokenizer.json"
    pad = json.loads(larger.read_text())["added_tokens"][0] | {"id": 400, "content": "<pad>"}
    change(larger, added_tokens=[*json.loads(larger.read_text())["added_tokens"], pad])
    bad = copy(generators, repository, "bad").parent / "model.toml"
    bad.write_text(bad.read_text() + "[generator.defaults]\ntop_p = 1.5\n")
    return repository


@pytest.fixture(scope="module", name="server")
def fixture_server(repository: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(repository, flags=["--workers=2"]) as server:
        yield server


@pytest.fixture(name="client")
def fixture_client(server: PredictdProcess) -> Client:
    return server.client


def ask(client: Client, model: str = "plain", prompt: str | None = "Hello", **fields: Any) -> Any:
    return client.predict(generation_request(prompt, model=model, **fields))


# --- What continues a prompt ---


@pytest.fixture(scope="module", name="tokenizer")
def fixture_tokenizer(repository: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(repository / "spaces/1/tokenizer.json"))
    tokenizer.no_truncation()
    return tokenizer


def test_space_before_the_first_word_is_a_part_of_the_answer(client: Client, tokenizer: Tokenizer) -> None:
    paris = tokenizer.token_to_id("\u2581Paris")
    assert paris is not None
    prompt = "abc de"
    answer = ask(client, "spaces", prompt, max_tokens=2, logit_bias={paris: 100})
    before = tokenizer.encode(prompt, add_special_tokens=False).ids
    assert answer.usage.prompt_tokens == len(before) + 1
    assert answer.answers[0].text == tokenizer.decode([*before, paris, paris])[len(prompt) :] == " Paris Paris"
    streamed = Streamed(
        client.predict_stream(stream_request(prompt, model="spaces", max_tokens=2, logit_bias={paris: 100}))
    )
    assert streamed.text() == " Paris Paris"
    # After nothing but special tokens it is the tokenizer's own.
    begun = ask(client, "spaces", None, token_ids=TokenIds(ids=[1]), max_tokens=2, logit_bias={paris: 100})
    assert begun.answers[0].text == "Paris Paris"


def test_character_that_the_prompt_began_is_completed(client: Client, tokenizer: Tokenizer) -> None:
    first, second = (tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in "é".encode())
    prompt = TokenIds(ids=[1, *tokenizer.encode("ab", add_special_tokens=False).ids, first])
    completed = ask(client, "spaces", None, token_ids=prompt, max_tokens=1, logit_bias={second: 100})
    assert completed.answers[0].text == "é"
    other = ask(client, "spaces", None, token_ids=prompt, max_tokens=1, logit_bias={tokenizer.token_to_id("a"): 100})
    assert other.answers[0].text == "a"


# --- Ends ---


@pytest.mark.parametrize("stop", [["</s>"], ["nothing", "</s>"]], ids=str)
def test_stop_string_may_be_a_special_token(client: Client, stop: list[str]) -> None:
    answer = ask(client, logit_bias={END: 100}, stop=stop)
    only = answer.answers[0]
    assert (only.text, ids(only.tokens), only.finish_reason) == ("", [END], STOP)
    assert answer.usage.generated_tokens == 1


def test_special_token_that_is_no_stop_string_is_no_text(client: Client) -> None:
    only = ask(client, logit_bias={END: 100}, stop=["<s>", "s>x"], max_tokens=3).answers[0]
    assert (only.text, ids(only.tokens), only.finish_reason) == ("", [END] * 3, LENGTH)


def test_token_that_ends_an_answer_counts_everywhere(server: PredictdProcess, client: Client) -> None:
    before = server.metric("predictd_generator_tokens_total", model="plain")
    request = generation_request("Hello", model="plain", ignore_end=False, logit_bias={END: 100})
    answer, call = client.predict_with_call(request)
    streamed = Streamed(
        client.predict_stream(stream_request("Hello", model="plain", ignore_end=False, logit_bias={END: 100}))
    )
    assert ids(answer.answers[0].tokens) == streamed.tokens() == [END]
    assert answer.usage.generated_tokens == streamed.summary.usage.generated_tokens == 1
    assert 'tokens;desc="1"' in dict(call.trailing_metadata())["server-timing"]
    assert server.metric("predictd_generator_tokens_total", model="plain") - before == 2
    assert answer.usage.time_to_first_token.ToNanoseconds() > 0


# --- How tokens are chosen ---


def test_defaults_of_the_model_count_where_a_request_says_nothing(client: Client) -> None:
    def texts(**fields: Any) -> set[str]:
        found = set()
        for _ in range(4):
            request = generation_request("Hello", model="defaults", **fields)
            if "temperature" not in fields:
                request.generation.ClearField("temperature")
            found.add(client.predict(request).answers[0].text)
        return found

    # top_k is 1.
    assert len(texts()) == 1
    assert len(texts(top_k=0, top_p=1, min_p=0, temperature=5)) == 4
    # Asked for, the likeliest is the likeliest, and penalties are still the model's.
    neutral = {"repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}
    assert texts(temperature=0, **neutral) == {ask(client).answers[0].text}
    assert (
        texts()
        == texts(temperature=0)
        == {ask(client, repetition_penalty=1.5, presence_penalty=0.25, frequency_penalty=-1).answers[0].text}
    )


def test_defaults_are_described(client: Client) -> None:
    def described(model: str) -> dict[str, Any]:
        return json_format.MessageToDict(
            client.get_model(model).model.generator.defaults, preserving_proto_field_name=True
        )

    assert described("defaults") == {
        "temperature": 0.5,
        "top_k": "1",
        "top_p": 0.9,
        "min_p": 0.05,
        "repetition_penalty": 1.5,
        "presence_penalty": 0.25,
        "frequency_penalty": -1,
    }
    assert described("plain") == {"temperature": 1, "top_p": 1, "repetition_penalty": 1}


def test_default_out_of_its_range_is_named(client: Client) -> None:
    (version,) = client.get_model("bad").model.versions
    assert "generator.defaults.top_p: expected more than 0 and at most 1" in version.reason


# --- Chats ---


def template_value(value: Any) -> dict[str, Any]:
    """A predictd.v1.TemplateValue, as JSON writes it."""
    match value:
        case None:
            return {}
        case list():
            return {"list_value": {"values": [template_value(item) for item in value]}}
        case dict():
            return {"dict_value": {"entries": {key: template_value(item) for key, item in value.items()}}}
        case _:
            return {
                {bool: "bool_value", int: "int64_value", float: "double_value", str: "string_value"}[type(value)]: value
            }


def chat(**arguments: Any) -> Any:
    message = Chat(messages=[ChatMessage(role="user", content="Hi")])
    written = {name: template_value(value) for name, value in arguments.items()}
    json_format.ParseDict({"template_arguments": written}, message)
    return message


def prompt_tokens(client: Client, **arguments: Any) -> int:
    answer = ask(client, prompt=None, chat=chat(**arguments), max_tokens=1)
    return int(answer.usage.prompt_tokens)


def test_template_gets_the_arguments_of_the_request(client: Client) -> None:
    without = prompt_tokens(client)
    assert prompt_tokens(client, enable_thinking=False) == without + len("no")
    assert prompt_tokens(client, enable_thinking=True) == without
    assert prompt_tokens(client, enable_thinking=False, level=3) == without + len("no3")
    assert prompt_tokens(client, enable_thinking=False, level=3.0) == without + len("no3.0")
    assert prompt_tokens(client, level=2**62) == without + len(str(2**62))
    assert prompt_tokens(client, level=["a", {"b": None}]) == without + len("['a', {'b': None}]")
    # Text of a caller is no special token.
    assert prompt_tokens(client, level="</s>") == without + len("</s>")
    assert list(client.get_model("plain").model.generator.template_arguments) == ["enable_thinking", "level"]


def nested(depth: int) -> Any:
    return 1 if depth == 0 else [nested(depth - 1)]


@pytest.mark.parametrize(
    ("arguments", "field", "words"),
    [
        (
            {"enable_thinkin": False},
            '["enable_thinkin"]',
            "expected a variable that the model's template reads: enable_thinking, level",
        ),
        ({"messages": []}, '["messages"]', "the server sets this variable"),
        ({"bos_token": "x"}, '["bos_token"]', "the server sets this variable"),
        ({"add_generation_prompt": False}, '["add_generation_prompt"]', "the server sets this variable"),
        ({"range": 1}, '["range"]', "expected a variable"),
        ({"level": nested(16)}, "", "at most 16 deep"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_argument_is_named(client: Client, arguments: dict[str, Any], field: str, words: str) -> None:
    error = rpc_error(lambda: ask(client, prompt=None, chat=chat(**arguments)))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert words in field_violations(error)["generation.chat.template_arguments" + field]


def test_arguments_are_bounded(client: Client) -> None:
    assert prompt_tokens(client, level=nested(14)) > 0
    error = rpc_error(lambda: ask(client, prompt=None, chat=chat(level="x" * 40_000)))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert "expected a prompt of fewer than" in field_violations(error)["generation.chat"]
    # More than a megabyte of nothing: refused before it is built.
    request = generation_request(None, model="plain", chat=chat(level=[None] * 200_000))
    error = rpc_error(lambda: client.predict(request))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert any("list_value.values" in field for field in field_violations(error)), field_violations(error)


def test_template_may_ask_for_the_date(client: Client) -> None:
    answer = ask(client, "dated", None, chat=chat(), max_tokens=1)
    assert answer.usage.prompt_tokens == len("2026-01-01")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", time.strftime("%Y-%m-%d"))
    error = rpc_error(lambda: ask(client, "dated", None, chat=chat(level=1)))
    assert "the model's template reads no further variables" in str(field_violations(error))


# --- Vocabularies ---


def test_token_that_the_model_does_not_know_is_an_error_of_the_prompt(client: Client) -> None:
    assert ask(client, "larger").answers[0].finish_reason == LENGTH
    error = rpc_error(lambda: ask(client, "larger", "a<pad>b", parse_special_tokens=True))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert "expected tokens from 0 to 319, which the model knows, got 400 ('<pad>')" in str(field_violations(error))
