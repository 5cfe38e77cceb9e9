"""The response cache: what is asked again is answered without a run, bit for bit as before, and says so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy
import pytest

from predictd_process import TEST_MODELS, PredictdProcess, eventually, make_repository
from protocol import (
    Client,
    Parameter,
    PredictStreamRequest,
    Tensor,
    collect,
    field_violations,
    float_tensor,
    predict_request,
    raw_tensor,
    rpc_error,
    trailer,
)

SMALL_CACHE = 64 << 10
LARGE_CACHE = 4 << 20
NO_CACHE = {"cache": Parameter(bool_value=False)}


def add_model(repository: Path, name: str, model: str, versions: int = 1, **keys: object) -> None:
    """A model with these further keys in its model.toml, whose versions are all the same one."""
    folder = repository / name
    folder.mkdir()
    for version in range(1, versions + 1):
        (folder / str(version)).symlink_to(TEST_MODELS / model / "1")
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in keys.items()]
    (folder / "model.toml").write_text("".join(lines) + (TEST_MODELS / model / "model.toml").read_text())


@pytest.fixture(scope="module", name="spans")
def fixture_spans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the server's spans go to."""
    return tmp_path_factory.mktemp("spans") / "spans.jsonl"


@pytest.fixture(scope="module", name="server")
def fixture_server(tmp_path_factory: pytest.TempPathFactory, spans: Path) -> Iterator[PredictdProcess]:
    """A server of models with a cache, and of `linear` without one. Each test has models or inputs of its own."""
    repository = make_repository(tmp_path_factory.mktemp("cache") / "models", ["linear"])
    for model in ("faulty", "multi", "strings", "types"):
        add_model(repository, model, model, response_cache_bytes=LARGE_CACHE)
    add_model(repository, "cached", "linear", response_cache_bytes=LARGE_CACHE)
    add_model(repository, "counted", "linear", response_cache_bytes=LARGE_CACHE)
    add_model(repository, "small", "linear", response_cache_bytes=SMALL_CACHE)
    add_model(repository, "two", "linear", versions=2, version_policy="all", response_cache_bytes=LARGE_CACHE)
    flags = ["--workers=2", "--trace-exporter=file", f"--trace-file={spans}", "--trace-sample-ratio=0"]
    with PredictdProcess(repository, flags) as server:
        yield server


@pytest.fixture(name="client")
def fixture_client(server: PredictdProcess) -> Client:
    return server.client


@pytest.fixture(name="rows")
def fixture_rows(request: pytest.FixtureRequest) -> Any:
    """Makes inputs for `linear` that no other test has."""
    random = numpy.random.default_rng(list(request.node.name.encode()))
    return lambda count=1: random.standard_normal((count, 64), dtype=numpy.float32)


def linear_request(model: str, values: numpy.ndarray, **fields: Any) -> Any:
    return predict_request(model, raw_tensor("x", values), **fields)


def outcome(call: Any) -> str | None:
    """What the trailers say of the cache; checks that they agree with each other."""
    timing = trailer(call, "server-timing") or ""
    entry = re.search(r', cache;desc="(\w+)";dur=\d+\.\d+', timing)
    found = entry[1] if entry else None
    ran = [name in timing for name in ("queue;", "forward;", "batch;")]
    age = trailer(call, "age")
    if found == "hit":
        assert not any(ran), timing
        assert age is not None
        assert age.isdecimal()
    else:
        assert age is None
        assert ran == [call.code() == grpc.StatusCode.OK] * 3, timing
    return found


def ask(client: Client, request: Any) -> tuple[Any, str | None]:
    """The answer, and what the trailers say of the cache."""
    answer, call = client.predict_with_call(request)
    return answer, outcome(call)


def cache_metrics(server: PredictdProcess, **labels: str) -> dict[str, float]:
    names = ("hits_total", "misses_total", "evictions_total", "entries", "bytes")
    return {name: server.metric(f"predictd_response_cache_{name}", **labels) for name in names}


# --- Hits ---


def every_type() -> Any:
    """Two rows of random bits for each input of the model `types`."""
    inputs = []
    widths = {"bool": 1, "8": 1, "16": 2, "32": 4, "64": 8}
    toml = (TEST_MODELS / "types" / "model.toml").read_text()
    random = numpy.random.default_rng(1)
    for name in re.findall(r'name = "(\w+)_in"', toml):
        width = widths[re.sub(r"^(u?int|fp|bf)", "", name)]
        data = random.integers(0, 2, 6, numpy.uint8) if name == "bool" else random.bytes(6 * width)
        inputs.append(Tensor(name=f"{name}_in", shape=[2, 3], raw=bytes(data)))
    return predict_request("types", *inputs)


def every_string() -> Any:
    texts = [b"", b"a", b"fifteen bytes..", b"sixteen bytes...", b"x" * 5000, "grüß".encode()]
    return predict_request("strings", Tensor(name="text", shape=[len(texts)], bytes_values=texts))


@pytest.mark.parametrize("make_request", [every_type, every_string])
def test_a_hit_is_the_same_as_the_miss_bit_by_bit(client: Client, make_request: Callable[[], Any]) -> None:
    miss, first = ask(client, make_request())
    hit, second = ask(client, make_request())
    assert (first, second) == ("miss", "hit")
    assert hit.SerializeToString(deterministic=True) == miss.SerializeToString(deterministic=True)


def test_the_same_inputs_in_another_encoding_or_order_for_other_outputs_hit(client: Client, rows: Any) -> None:
    values = rows(3)
    miss, first = ask(client, linear_request("cached", values, request_id="first"))
    typed = predict_request("cached", float_tensor("x", values), outputs=["y"], request_id="second")
    hit, second = ask(client, typed)
    assert (first, second) == ("miss", "hit")
    assert (miss.request_id, hit.request_id) == ("first", "second")
    assert numpy.asarray(hit.outputs[0].float_values, numpy.float32).tobytes() == miss.outputs[0].raw

    ids = raw_tensor("ids", numpy.arange(6, dtype=numpy.int64).reshape(2, 3))
    scale = float_tensor("scale", [[1.0], [2.0]])
    assert [ask(client, predict_request("multi", *inputs))[1] for inputs in ((ids, scale), (scale, ids))] == [
        "miss",
        "hit",
    ]


def test_outputs_that_the_first_caller_did_not_want_hit_too(client: Client) -> None:
    text = Tensor(name="text", shape=[2], bytes_values=[b"only", b"here"])
    _, first = ask(client, predict_request("strings", text, outputs=["length"]))
    upper, second = ask(client, predict_request("strings", text, outputs=["upper"]))
    assert (first, second) == ("miss", "hit")
    assert list(upper.outputs[0].bytes_values) == [b"ONLY", b"HERE"]


def test_a_hit_runs_nothing_and_is_counted(server: PredictdProcess, rows: Any) -> None:
    request = linear_request("counted", rows())
    for _ in range(5):
        ask(server.client, request)
    found = cache_metrics(server, model="counted", version="1")
    assert 256 < found.pop("bytes") < 2048
    assert found == {"hits_total": 4, "misses_total": 1, "evictions_total": 0, "entries": 1}
    assert server.metric("predictd_compute_seconds_count", model="counted") == 1
    assert server.metric("predictd_requests_total", model="counted", code="OK") == 5


def test_the_age_is_that_of_the_answer(client: Client, rows: Any) -> None:
    request = linear_request("cached", rows())
    ask(client, request)

    def age() -> int:
        _, call = client.predict_with_call(request)
        assert outcome(call) == "hit"
        return int(trailer(call, "age") or "")

    assert age() == 0
    # To be asked for all the time does not keep it young.
    assert eventually(lambda: age() or None, 5, "a second to pass") == 1


def test_members_of_a_batch_are_kept_each_for_itself(server: PredictdProcess, rows: Any) -> None:
    requests = [linear_request("cached", rows(1 + i % 3)) for i in range(200)]
    futures = [server.client.predict_future(request) for request in requests]
    answers = [future.result() for future in futures]
    largest = max(
        int(found)
        for future in futures
        for found in re.findall(r'batch;desc="(\d+)"', trailer(future, "server-timing") or "")
    )
    assert largest > 1, "nothing ran together"
    for request, answer in zip(requests, answers, strict=True):
        assert ask(server.client, request) == (answer, "hit")


def test_many_who_miss_at_once_get_the_same_and_leave_one_entry(server: PredictdProcess, rows: Any) -> None:
    before = cache_metrics(server, model="cached")
    request = linear_request("cached", rows())
    futures = [server.client.predict_future(request) for _ in range(50)]
    # Alone or in a batch of any size, a number may differ in its last bit.
    first = numpy.frombuffer(futures[0].result().outputs[0].raw, numpy.float32)
    for future in futures:
        answer = numpy.frombuffer(future.result().outputs[0].raw, numpy.float32)
        numpy.testing.assert_allclose(answer, first, rtol=1e-5, atol=1e-6)
    after = cache_metrics(server, model="cached")
    assert after["entries"] == before["entries"] + 1
    assert after["hits_total"] + after["misses_total"] == before["hits_total"] + before["misses_total"] + 50


# --- Misses ---


def test_other_inputs_miss(client: Client, rows: Any) -> None:
    values = rows(2)
    changed = values.copy()
    changed[1, 63] = numpy.nextafter(changed[1, 63], numpy.float32(9))
    answers = [ask(client, linear_request("cached", array)) for array in (values, changed, values[:1])]
    assert [found for _, found in answers] == ["miss"] * 3
    assert answers[0][0] != answers[1][0]


def test_shapes_and_cuts_of_the_same_bytes_miss(client: Client) -> None:
    for shape in ([2, 3], [3, 2], [1, 6], [6, 1]):
        ids = raw_tensor("ids", numpy.arange(100, 106, dtype=numpy.int64).reshape(shape))
        answer, found = ask(client, predict_request("multi", ids, float_tensor("scale", numpy.ones((shape[0], 1)))))
        assert found == "miss"
        assert list(answer.outputs[0].shape) == [shape[0], 1]
    for texts in ([b"ab", b"c"], [b"a", b"bc"], [b"abc", b""]):
        answer, found = ask(client, predict_request("strings", Tensor(name="text", shape=[2], bytes_values=texts)))
        assert found == "miss"
        assert list(answer.outputs[0].int64_values) == [len(text) for text in texts]


def test_each_version_has_its_own(server: PredictdProcess, rows: Any) -> None:
    values = rows()
    found = [ask(server.client, linear_request("two", values, model_version=v))[1] for v in (1, 2, 1, 2, 0)]
    assert found == ["miss", "miss", "hit", "hit", "hit"]
    hits = [server.metric("predictd_response_cache_hits_total", model="two", version=version) for version in "12"]
    assert hits == [1, 2]


def test_errors_are_not_kept(server: PredictdProcess) -> None:
    request = predict_request("faulty", float_tensor("x", [[-1.0]]))
    for _ in range(2):
        error = rpc_error(lambda: server.client.predict(request))
        assert error.code() == grpc.StatusCode.INTERNAL
        assert outcome(error) == "miss"
    assert cache_metrics(server, model="faulty") == {
        "hits_total": 0,
        "misses_total": 2,
        "evictions_total": 0,
        "entries": 0,
        "bytes": 0,
    }


def test_a_full_cache_drops_what_was_not_asked_for_the_longest_time(server: PredictdProcess, rows: Any) -> None:
    requests = [linear_request("small", rows(4)) for _ in range(200)]
    favourite = requests[0]
    ask(server.client, favourite)
    for request in requests[1:]:
        assert ask(server.client, request)[1] == "miss"
        assert ask(server.client, favourite)[1] == "hit"
        assert 0 < server.metric("predictd_response_cache_bytes", model="small") <= SMALL_CACHE
    found = cache_metrics(server, model="small")
    assert found["entries"] + found["evictions_total"] == len(requests)
    kept = int(found["entries"])
    assert 20 < kept < 64
    assert ask(server.client, requests[-kept + 1])[1] == "hit"
    assert ask(server.client, requests[-kept])[1] == "miss"


def test_an_answer_that_is_too_large_for_its_cache_is_not_kept(client: Client, rows: Any) -> None:
    request = linear_request("small", rows(64))
    assert [ask(client, request)[1] for _ in range(2)] == ["miss", "miss"]


# --- Without the cache ---


def test_inputs_that_are_too_large_go_past_it(server: PredictdProcess) -> None:
    before = cache_metrics(server, model="multi")
    ids = raw_tensor("ids", numpy.ones((1, 40_000), numpy.int64))
    for _ in range(2):
        answer, found = ask(server.client, predict_request("multi", ids, float_tensor("scale", [[0.5]])))
        assert (list(answer.outputs[0].float_values), found) == ([], "bypass")
        assert numpy.frombuffer(answer.outputs[0].raw, numpy.float32) == [20_000]
    assert cache_metrics(server, model="multi") == before


def test_a_caller_may_do_without(server: PredictdProcess, rows: Any) -> None:
    values = rows()
    before = cache_metrics(server, model="cached")
    without = linear_request("cached", values, parameters=NO_CACHE)
    with_cache = linear_request("cached", values, parameters={"cache": Parameter(bool_value=True)})
    assert [ask(server.client, without)[1] for _ in range(2)] == [None, None]
    assert cache_metrics(server, model="cached") == before
    assert [ask(server.client, request)[1] for request in (with_cache, without, with_cache)] == ["miss", None, "hit"]


@pytest.mark.parametrize("value", [{}, {"string_value": "false"}, {"int64_value": 0}], ids=["none", "string", "number"])
def test_the_parameter_must_be_a_bool(client: Client, value: dict[str, Any]) -> None:
    request = linear_request("cached", numpy.zeros((1, 64), numpy.float32), parameters={"cache": Parameter(**value)})
    error = rpc_error(lambda: client.predict(request))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field_violations(error) == {'parameters["cache"]': "expected a bool_value"}


@pytest.mark.parametrize("parameters", [{}, NO_CACHE, {"cache": Parameter(bool_value=True)}])
def test_there_is_none_by_default(server: PredictdProcess, rows: Any, parameters: dict[str, Any]) -> None:
    request = linear_request("linear", rows(), parameters=parameters)
    assert [ask(server.client, request)[1] for _ in range(2)] == [None, None]
    series = [labels for name, labels in server.metrics() if name.startswith("predictd_response_cache")]
    assert len(series) == 5 * 9, "each cached version has its series"
    assert not any(("model", "linear") in labels for labels in series)


def test_streams_use_none(server: PredictdProcess, rows: Any) -> None:
    request = linear_request("cached", rows(4))
    assert ask(server.client, request)[1] == "miss"
    before = cache_metrics(server, model="cached")
    stream = server.client.predict_stream(PredictStreamRequest(predict=request))
    assert collect(stream)["summary"][0].rows_ok == 4
    assert "cache" not in (trailer(stream, "server-timing") or "cache")
    assert cache_metrics(server, model="cached") == before


# --- Traces ---


def test_a_trace_shows_what_the_cache_did(server: PredictdProcess, rows: Any, spans: Path) -> None:
    request = linear_request("cached", rows())
    for identity in ("a" * 32, "b" * 32):
        server.client.predict(request, metadata=[("traceparent", f"00-{identity}-{'1' * 16}-01")])

    def phases(identity: str) -> dict[str, Any] | None:
        text = spans.read_text() if spans.exists() else ""
        found = [span for line in text.splitlines() for span in spans_of(json.loads(line))]
        mine = {span["name"]: span for span in found if span["traceId"] == identity}
        return mine if any("PredictionService" in name for name in mine) else None

    miss = eventually(lambda: phases("a" * 32), 20, "the spans of the miss")
    hit = eventually(lambda: phases("b" * 32), 20, "the spans of the hit")
    assert {"cache", "queue", "forward"} < set(miss)
    assert "cache" in hit
    assert not {"queue", "forward"} & set(hit)
    assert [span["cache"]["attributes"] for span in (miss, hit)] == [
        [{"key": "predictd.cache.outcome", "value": {"stringValue": "miss"}}],
        [{"key": "predictd.cache.outcome", "value": {"stringValue": "hit"}}],
    ]


def spans_of(exported: dict[str, Any]) -> list[dict[str, Any]]:
    return [span for r in exported["resourceSpans"] for scope in r["scopeSpans"] for span in scope["spans"]]
