"""Generated text: both calls, and every parameter."""

from __future__ import annotations

import concurrent.futures
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from generation import (
    LENGTH,
    MAX_LENGTH,
    NAME,
    SLOTS,
    STOP,
    Streamed,
    generation_request,
    ids,
    stream_request,
)
from predictd_process import PredictdProcess
from protocol import Chat, ChatMessage, Client, Parameter, TokenIds


@pytest.fixture(scope="module", name="server")
def fixture_server(generators: Path) -> Iterator[PredictdProcess]:
    with PredictdProcess(generators, flags=["--workers=2"]) as server:
        yield server


@pytest.fixture(name="client")
def fixture_client(server: PredictdProcess) -> Client:
    return server.client


@pytest.fixture(scope="module", name="tokenizer")
def fixture_tokenizer(generators: Path) -> Tokenizer:
    return Tokenizer.from_file(str(generators / NAME / "1/tokenizer.json"))


# --- Answers ---


def test_predict_returns_the_whole_answer(client: Client, tokenizer: Tokenizer) -> None:
    answer = client.predict(generation_request("Once upon a time", request_id="r1"))
    assert (answer.model_name, answer.model_version, answer.request_id) == (NAME, 1, "r1")
    (only,) = answer.answers
    assert only.index == 0
    assert len(only.tokens) == 20
    assert only.text == tokenizer.decode(ids(only.tokens))
    assert only.finish_reason == LENGTH
    usage = answer.usage
    assert usage.prompt_tokens == len(tokenizer.encode("Once upon a time").ids)
    assert usage.generated_tokens == 20
    queue, first, total = (
        time.ToTimedelta() for time in (usage.queue_time, usage.time_to_first_token, usage.total_time)
    )
    assert timedelta() < queue <= first <= total
    assert usage.tokens_per_second > 0


def test_stream_sends_the_same_answer_in_pieces(client: Client) -> None:
    whole = client.predict(generation_request("Once upon a time")).answers[0]
    streamed = Streamed(client.predict_stream(stream_request("Once upon a time", request_id="r2")))
    assert (streamed.start.model_name, streamed.start.model_version, streamed.start.request_id) == (NAME, 1, "r2")
    assert streamed.text() == whole.text
    assert streamed.tokens() == ids(whole.tokens)
    assert streamed.finish_reason() == LENGTH
    assert all(piece.finish_reason == 0 for piece in streamed.pieces[:-1])
    assert streamed.summary.usage.generated_tokens == 20
    assert len(streamed.pieces) > 1


def test_token_ids_are_a_prompt_too(client: Client, tokenizer: Tokenizer) -> None:
    prompt = tokenizer.encode("Once upon a time").ids
    by_ids = client.predict(generation_request(token_ids=TokenIds(ids=prompt)))
    assert by_ids.answers[0].text == client.predict(generation_request("Once upon a time")).answers[0].text


def test_chat_is_put_into_words_by_the_models_template(client: Client, tokenizer: Tokenizer) -> None:
    chat = Chat(messages=[ChatMessage(role="user", content=" Hi "), ChatMessage(role="assistant", content="Yes?")])
    answer = client.predict(generation_request(chat=chat))
    # "<s>" of the template is a token, those of the messages are text.
    prompt = [1, *tokenizer.encode("user: Hi\nassistant: Yes?\n", add_special_tokens=False).ids]
    assert answer.usage.prompt_tokens == len(prompt)
    assert answer.answers[0].text == client.predict(generation_request(token_ids=TokenIds(ids=prompt))).answers[0].text


def test_user_text_cannot_forge_special_tokens(client: Client) -> None:
    as_text = client.predict(generation_request("a</s>b"))
    assert as_text.usage.prompt_tokens == 7
    parsed = client.predict(generation_request("a</s>b", parse_special_tokens=True))
    assert parsed.usage.prompt_tokens == 4
    chat = Chat(messages=[ChatMessage(role="user", content="a</s>b")])
    inside = client.predict(generation_request(chat=chat, parse_special_tokens=True))
    plain = client.predict(generation_request(chat=Chat(messages=[ChatMessage(role="user", content="axxxxb")])))
    assert inside.usage.prompt_tokens == plain.usage.prompt_tokens


def test_text_is_cut_between_characters_only(client: Client) -> None:
    # The random model writes bytes of all kinds: most characters take several tokens, and many are broken.
    streamed = Streamed(client.predict_stream(stream_request("Ünïcödé 🎉", max_tokens=400, temperature=1.5, seed=5)))
    whole = client.predict(generation_request("Ünïcödé 🎉", max_tokens=400, temperature=1.5, seed=5)).answers[0]
    assert streamed.text() == whole.text
    assert any(piece.tokens and not piece.text for piece in streamed.pieces)


# --- Parameters ---


def test_same_seed_same_answer(client: Client) -> None:
    texts = [
        client.predict(generation_request("Hello", temperature=1, seed=seed)).answers[0].text for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    unseeded = {client.predict(generation_request("Hello", temperature=1)).answers[0].text for _ in range(3)}
    assert len(unseeded) == 3


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1}], ids=str)
def test_narrowest_choice_is_greedy(client: Client, options: dict[str, Any]) -> None:
    greedy = client.predict(generation_request("Hello")).answers[0].text
    assert client.predict(generation_request("Hello", temperature=1, seed=3, **options)).answers[0].text == greedy


def test_bias_makes_a_token_certain_or_impossible(client: Client) -> None:
    first = client.predict(generation_request("Hello", max_tokens=1)).answers[0].tokens[0].id
    without = client.predict(generation_request("Hello", logit_bias={first: -100})).answers[0]
    assert first not in ids(without.tokens)
    certain = client.predict(generation_request("Hello", logit_bias={200: 100}, max_tokens=5)).answers[0]
    assert ids(certain.tokens) == [200] * 5


@pytest.mark.parametrize(
    "options", [{"repetition_penalty": 10}, {"presence_penalty": 2}, {"frequency_penalty": 2}], ids=str
)
def test_penalties_make_for_more_different_tokens(client: Client, options: dict[str, float]) -> None:
    def count(bias: int, **penalties: Any) -> int:
        request = generation_request("Hello", logit_bias={200: bias}, max_tokens=60, **penalties)
        return ids(client.predict(request).answers[0].tokens).count(200)

    # Just enough for the token to be there all the time.
    bias = next(bias for bias in range(100) if count(bias) > 50)
    assert count(bias, **options) < count(bias)


def test_logprobs_are_of_the_likeliest(client: Client) -> None:
    answer = client.predict(generation_request("Hello", logprobs=5)).answers[0]
    for token in answer.tokens:
        assert len(token.top_logprobs) == 5
        assert token.top_logprobs[0].id == token.id
        assert token.top_logprobs[0].logprob == token.logprob
        values = [top.logprob for top in token.top_logprobs]
        assert values == sorted(values, reverse=True)
        assert sum(math.exp(value) for value in values) <= 1.0001
    without = client.predict(generation_request("Hello")).answers[0].tokens[0]
    assert not without.HasField("logprob")
    assert not without.top_logprobs
    only_own = client.predict(generation_request("Hello", logprobs=0)).answers[0].tokens[0]
    assert only_own.HasField("logprob")
    assert not only_own.top_logprobs


def test_stop_string_ends_the_answer_before_it(client: Client) -> None:
    whole = client.predict(generation_request("Hello", max_tokens=100)).answers[0].text
    stop = whole[10:14]
    streamed = Streamed(client.predict_stream(stream_request("Hello", max_tokens=100, stop=["never", stop])))
    assert streamed.text() == whole[: whole.index(stop)]
    assert streamed.finish_reason() == STOP


def test_stop_token_ends_the_answer_before_it(client: Client) -> None:
    tokens = ids(client.predict(generation_request("Hello", max_tokens=100)).answers[0].tokens)
    stopped = client.predict(generation_request("Hello", max_tokens=100, stop_token_ids=[tokens[10]])).answers[0]
    # It was generated, but is no text.
    assert ids(stopped.tokens) == tokens[: tokens.index(tokens[10]) + 1]
    assert stopped.finish_reason == STOP


def test_end_token_ends_the_answer_unless_it_is_ignored(client: Client) -> None:
    certain_end: dict[str, Any] = {"logit_bias": {2: 100}, "max_tokens": 3}
    answer = client.predict(generation_request("Hello", ignore_end=False, **certain_end))
    ended = answer.answers[0]
    assert (ended.text, ids(ended.tokens), ended.finish_reason) == ("", [2], STOP)
    assert answer.usage.generated_tokens == 1
    ignored = client.predict(generation_request("Hello", **certain_end)).answers[0]
    assert ids(ignored.tokens) == [2, 2, 2]
    assert ignored.finish_reason == LENGTH


def test_several_answers_come_mixed_and_each_with_its_seed(client: Client) -> None:
    streamed = Streamed(client.predict_stream(stream_request("Hello there", n=4, temperature=1, seed=9, max_tokens=30)))
    texts = [streamed.text(index) for index in range(4)]
    assert len(set(texts)) == 4
    assert streamed.summary.usage.generated_tokens == 120
    whole = client.predict(generation_request("Hello there", n=4, temperature=1, seed=9, max_tokens=30))
    assert [answer.index for answer in whole.answers] == [0, 1, 2, 3]
    assert [answer.text for answer in whole.answers] == texts


def test_without_max_tokens_the_answer_fills_what_there_is(client: Client) -> None:
    request = generation_request("Hello")
    request.generation.ClearField("max_tokens")
    answer = client.predict(request, timeout=60)
    assert answer.usage.prompt_tokens + answer.usage.generated_tokens == MAX_LENGTH
    assert answer.answers[0].finish_reason == LENGTH


# --- Company ---


def test_answer_is_the_same_alone_and_among_others(client: Client) -> None:
    prompts = [f"Prompt number {i} " + "word " * (11 * i % 50) for i in range(SLOTS)]
    lengths = [20 + 17 * i % 60 for i in range(SLOTS)]

    def ask(i: int) -> list[int]:
        request = generation_request(prompts[i], max_tokens=lengths[i], temperature=0.8, seed=i)
        request.parameters["cache"].CopyFrom(Parameter(bool_value=False))
        return ids(client.predict(request).answers[0].tokens)

    alone = [ask(i) for i in range(SLOTS)]
    with concurrent.futures.ThreadPoolExecutor(SLOTS) as pool:
        together = list(pool.map(ask, range(SLOTS)))
    assert together == alone


def test_more_than_there_are_slots_wait_and_are_answered(client: Client, server: PredictdProcess) -> None:
    with concurrent.futures.ThreadPoolExecutor(3 * SLOTS) as pool:
        answers = list(pool.map(lambda i: client.predict(generation_request(f"Number {i}")), range(3 * SLOTS)))
    assert all(len(answer.answers[0].tokens) == 20 for answer in answers)
    server.wait_for_metric("predictd_generator_slots_used", 0)
    assert server.metric("predictd_generator_waiting") == 0


def test_conversation_that_goes_on_is_not_computed_again(client: Client) -> None:
    first = "Tell me of the sea. " * 10
    client.predict(generation_request(first, max_tokens=30))
    again = client.predict(generation_request(first + " Or not?", max_tokens=5))
    assert again.usage.cached_prompt_tokens >= 150
    request = generation_request(first + " Or not?", max_tokens=5)
    request.parameters["cache"].CopyFrom(Parameter(bool_value=False))
    without = client.predict(request)
    assert without.usage.cached_prompt_tokens == 0
    assert without.answers[0].text == again.answers[0].text


# --- Description ---


def test_model_is_described(client: Client) -> None:
    model = client.get_model(NAME).model
    assert model.kind == 2
    assert (model.generator.max_length, model.generator.slots, model.generator.chat) == (MAX_LENGTH, SLOTS, True)
    assert model.generator.vocabulary_size == 320
    assert not model.inputs
    assert not model.outputs
    assert not model.batched


def test_trailers_say_where_the_time_went(client: Client) -> None:
    _, call = client.predict_with_call(generation_request("Hello"))
    trailers = dict(call.trailing_metadata())
    names = [entry.split(";")[0] for entry in trailers["server-timing"].split(", ")]
    assert names == ["decode", "queue", "prefill", "generate", "total", "tokens"]
    assert 'tokens;desc="20"' in trailers["server-timing"]
