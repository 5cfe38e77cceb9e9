"""Tests of `scripts/bench generation` itself: what it makes of its samples, and which of them it refuses.

PREDICTD_BUILD_DIR names the build folder; the ones that generate need predictd and bench_generation_load there.
"""

import argparse
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gguf
import numpy as np
import pytest
import torch

from bench.generation import readme_plot
from bench.generation.contestants import PlanRunner
from bench.generation.generation import LARGE_PARTS, PARTS, one_of, parse_contexts, parse_points, sizes_of
from bench.generation.models import RANDOM_1B, SMOLLM2, smollm2_file
from bench.generation.overhead import ModelTime, Step
from bench.generation.plan import (
    Lane,
    Outcome,
    Plan,
    Request,
    beside_prompts,
    constant,
    interference,
    poisson,
    quantiles,
)
from bench.generation.quality import Likelihood, likelihoods
from bench.generation.random_model import Shape, write_random_model
from bench.generation.report import print_rates
from bench.generation.results import HEADLINE, Interference, Row, ratios_by_point, same_beginnings
from bench.harness.failure import BenchFailure
from bench.harness.line_process import LineProcess
from bench.harness.predictd import metrics_port_file, running_predictd
from bench.harness.rounds import Worst
from bench.harness.svg_plot import Line, apart, draw, y_marks

ROOT = Path(__file__).resolve().parents[3]
PROMPTS = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def answer(
    lane: int = 0, request: int = 0, due: float = 0.0, times: list[float] | None = None, **other: object
) -> dict[str, Any]:
    times = [0.5, 0.6, 0.8] if times is None else times
    counts = {"prompt_tokens": 3, "cached_prompt_tokens": 0}
    fields = {"lane": lane, "request": request, "due": due, "times": times, "tokens": [7] * len(times), "status": "OK"}
    return {**fields, **counts, **other}


def outcome(plan: Plan, *answers: dict[str, Any]) -> Outcome:
    return Outcome.parse(plan, "server", json.dumps({"answers": answers, "client_cpu_seconds": 0.0}))


ONE = Plan(PROMPTS, [Lane(0.0, (Request(0, 3),))])


def test_tokens_a_second_are_of_all_callers_until_the_last_token() -> None:
    found = outcome(constant(PROMPTS, 2, 1, 3), answer(lane=1, times=[1.0, 1.5, 2.0]), answer(lane=0))
    assert found.tokens_per_second == 3.0
    assert found.first_token_ms() == [500.0, 1000.0]
    assert found.gaps_ms() == pytest.approx([100, 200, 500, 500])
    assert found.gaps_ms(begin=1.2) == pytest.approx([500, 500])


def test_the_first_token_counts_from_when_its_request_was_due() -> None:
    plan = constant(PROMPTS, 1, 2, 3)
    found = outcome(plan, answer(), answer(request=1, due=0.8, times=[1.0, 1.1, 1.2]))
    assert found.first_token_ms() == pytest.approx([200, 500])
    # Between the two requests there is no gap.
    assert max(found.gaps_ms()) == pytest.approx(200)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (answer(times=[0.1, 0.2]), "2 tokens where 3 were asked for"),
        (answer(status="code 8: the model's queue is full"), "queue is full"),
        (answer(cached_prompt_tokens=2), "computed 1 tokens of a prompt of 3"),
        (answer(times=[0.3, 0.2, 0.4]), "before their time"),
        (answer(due=0.7), "before their time"),
        (answer(lane=5), "unexpected report"),
    ],
)
def test_an_incomplete_answer_is_an_error(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(BenchFailure, match=reason):
        outcome(ONE, wrong)


def test_a_request_without_an_answer_or_with_two_is_an_error() -> None:
    for answers in ([], [answer(), answer()]):
        with pytest.raises(BenchFailure, match="requests were answered"):
            outcome(ONE, *answers)


def test_streams_ask_for_different_prompts() -> None:
    plan = constant(PROMPTS, 2, 2, 5)
    assert [[request.prompt for request in lane.requests] for lane in plan.lanes] == [[0, 2], [1, 0]]


def test_poisson_arrivals_have_the_rate_and_come_again_with_the_same_seed() -> None:
    plan = poisson(PROMPTS, rate=50, seconds=100, tokens=5, seed=3)
    starts = [lane.start for lane in plan.lanes]
    assert starts == sorted(starts)
    assert 4700 < len(starts) < 5300
    assert starts[-1] < 100
    assert plan == poisson(PROMPTS, 50, 100, 5, seed=3)
    assert plan != poisson(PROMPTS, 50, 100, 5, seed=4)


def test_only_gaps_beside_long_prompts_count_as_disturbed() -> None:
    plan = interference(PROMPTS[:1], 1, 5, [[9] * 10, [8] * 10], start=1.0)
    streamed = answer(times=[0.5, 0.9, 1.6, 2.1, 9.0])
    prompts = [answer(1, 0, 1.0, [1.5], prompt_tokens=10), answer(1, 1, 1.5, [3.0], prompt_tokens=10)]
    assert beside_prompts(outcome(plan, streamed, *prompts), 1) == pytest.approx([500, 700])


def test_without_a_token_beside_the_prompts_there_is_no_figure() -> None:
    plan = interference(PROMPTS[:1], 1, 3, [[9] * 10], start=1.0)
    with pytest.raises(BenchFailure, match="no token"):
        beside_prompts(outcome(plan, answer(), answer(1, 0, 1.0, [1.5], prompt_tokens=10)), 1)


def took(seconds: float) -> Outcome:
    return outcome(ONE, answer(times=[0.1, 0.2, seconds]))


def test_ratios_are_of_the_same_round() -> None:
    row = Row("8", samples={"ours": [took(1.0), took(3.0)], "theirs": [took(2.0), took(1.5)], "once": [took(4.0)]})
    assert row.ratios("ours", "theirs") == [2.0, 0.5]
    assert row.ratios("ours", "once") == [4.0]
    gaps = Interference(alone={"ours": [[1.0]], "theirs": [[2.0]]}, beside={"ours": [[1.0, 3.0]], "theirs": [[3.0]]})
    assert (gaps.ratios("ours"), gaps.ratios("theirs")) == ([3.0], [1.5])


def test_the_table_has_each_opponent_with_its_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    samples = {"ours": [took(1.0), took(3.0)], "theirs": [took(2.0), took(1.5)], "once": [took(4.0)]}
    print_rates("tokens/s", "streams", [Row("8", samples=samples)])
    *_, line = capsys.readouterr().out.splitlines()
    cells = [cell.split() for cell in line.split("|")]
    # Medians over the rounds.
    assert cells == [["8"], ["2.0"], ["1.8", "1.25", "(0.50..2.00)"], ["0.8", "4.00", "(4.00..4.00)"]]


def test_each_model_has_sizes_of_its_own_unless_others_are_asked_for() -> None:
    options = Namespace(quick=False, points=None, answers=1, contexts=[1000])
    assert sizes_of(options, SMOLLM2).points == [1, 2, 4, 8, 16]
    assert sizes_of(options, RANDOM_1B).points == [1, 8]
    assert sizes_of(Namespace(**{**vars(options), "points": [8, 32]}), RANDOM_1B).points == [8, 32]
    assert sizes_of(options, RANDOM_1B).contexts == [1000]
    assert set(LARGE_PARTS) < set(PARTS)


def test_a_prompt_counts_all_its_tokens() -> None:
    assert Row("1", worth=128, samples={"ours": [took(2.0)]}).rates("ours") == [192.0]


def test_the_worst_point_is_found_among_all_opponents() -> None:
    rows = [
        Row("8", "8 streams", samples={"ours": [took(1.0)], "theirs": [took(2.0)], "others": [took(4.0)]}),
        Row("T", "temperature 1", samples={"ours": [took(2.0)], "theirs": [took(1.0)], "others": [took(4.0)]}),
    ]
    found = ratios_by_point(rows, ["theirs", "others"])
    assert found == {
        "8 streams, theirs": 2.0, "8 streams, others": 4.0, "temperature 1, theirs": 0.5, "temperature 1, others": 2.0
    }  # fmt: skip
    assert Worst.of(found) == Worst(0.5, "temperature 1, theirs")


def test_who_computes_another_model_leaves_no_figures() -> None:
    def begins(*tokens: int) -> list[Outcome]:
        plan = constant(PROMPTS, len(tokens), 1, 3)
        return [outcome(plan, *(answer(lane=i, tokens=[token, 0, 0]) for i, token in enumerate(tokens)))]

    expected = [1, 2, 3, 4]
    row = Row("8", samples={"ours": begins(1, 2, 3, 4), "coarse": begins(1, 9, 9, 9)})
    assert same_beginnings(row, expected, {"coarse": 0.25}) == {"ours": 1.0, "coarse": 0.25}
    with pytest.raises(BenchFailure, match="coarse does not compute the same model: 25%"):
        same_beginnings(row, expected, {})


def test_a_step_is_what_is_left_without_prompts() -> None:
    found = Step.of(took(3.0), ModelTime(decode_seconds=1.5, decode_steps=10, prefill_seconds=1.0))
    assert [found.whole, found.model, found.server_share] == [0.2, 0.15, pytest.approx(0.25)]
    for model in (ModelTime(2.5, 10, 1.0), ModelTime(0.0, 0, 1.0), ModelTime(1.0, 10, 3.0)):
        with pytest.raises(BenchFailure, match="metrics say"):
            Step.of(took(3.0), model)


def test_metrics_without_steps_are_an_error() -> None:
    with pytest.raises(BenchFailure, match="no metric of its decode steps"):
        ModelTime.parse("predictd_requests_total 3\n")


def test_quantiles_are_of_all_rounds_together() -> None:
    assert quantiles([[1.0, 2.0], [3.0, 4.0, 100.0]]) == (3.0, 100.0)


def test_the_headline_is_always_among_the_points() -> None:
    assert parse_points("4,1") == [1, 4, HEADLINE]
    for text in ("0", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_points(text)
    with pytest.raises(argparse.ArgumentTypeError, match="'skaling' is not one of"):
        one_of(PARTS)("streams,skaling")
    assert parse_contexts("1000,2000") == [1000, 2000]
    with pytest.raises(argparse.ArgumentTypeError, match="at most 2000"):
        parse_contexts("1000,2001")


def test_the_plot_of_the_front_page_shows_the_figures_of_the_readme() -> None:
    assert readme_plot.PLOT.read_text(encoding="utf-8") == readme_plot.plot(
        readme_plot.README.read_text(encoding="utf-8")
    ), "python -m bench.generation.readme_plot draws it again"


def test_a_plot_has_a_line_for_each_series_that_has_points() -> None:
    plot = draw("a < b", "x", "y", "z", [Line("1", [(1, 3.0), (10, 30.0)]), Line("2", []), Line("3", [(1, 7.0)])])
    root = ElementTree.fromstring(plot)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 1]
    assert y_marks(3.0, 30.0) == [2.0, 5.0, 10.0, 20.0, 50.0]


def test_labels_keep_their_distance_and_their_order() -> None:
    assert apart([10.0, 50.0, 52.0], 14) == [10.0, 44.0, 58.0]
    assert apart([52.0, 50.0, 48.0], 14) == [64.0, 50.0, 36.0]
    assert apart([0.0, 30.0, 15.0], 14) == [0.0, 30.0, 15.0]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the Llama family with a few thousand random weights."""
    sys.path.append(str(ROOT / "tests" / "scripts"))
    from tiny_models import tiny_model, write_safetensors

    folder = tmp_path_factory.mktemp("generation")
    source = write_safetensors(folder / "source", tiny_model("llama"))
    kernels = Path(os.environ["PREDICTD_BUILD_DIR"]) / "lib" / "libpredictd_kernels.so"
    export = [
        sys.executable,
        str(ROOT / "scripts" / "export_generator.py"),
        str(source),
        str(folder / "models" / "tiny"),
    ]
    subprocess.run([*export, "--kernels", str(kernels)], check=True)
    return folder / "models"


@pytest.fixture
def load(repository: Path, tmp_path: Path) -> Iterator[PlanRunner]:
    build = Path(os.environ["PREDICTD_BUILD_DIR"])
    options = Namespace(build_dir=build, predictd_flags="")
    with running_predictd(options, repository, tmp_path) as server:
        program = build / "tests" / "bench" / "bench_generation_load"
        with LineProcess("predictd", [str(program), "--address", server.address, "--model", "tiny"]) as process:
            yield PlanRunner(process)


def test_a_plan_is_carried_out_again_and_again(load: PlanRunner) -> None:
    plan = Plan(PROMPTS, [Lane(0.0, (Request(0, 20), Request(1, 5))), Lane(0.3, (Request(0, 20),))])
    first, second = load.run(plan), load.run(plan)
    assert [(one.lane, one.request, len(one.tokens)) for one in first.answers] == [(0, 0, 20), (0, 1, 5), (1, 0, 20)]
    assert first.answers[2].times[0] >= 0.3
    assert first.answers[1].due >= first.answers[0].times[-1]
    assert first.answers[0].tokens == first.answers[2].tokens == second.answers[0].tokens


def test_a_refused_request_is_an_error(load: PlanRunner) -> None:
    with pytest.raises(BenchFailure, match="code 3: "):
        load.run(Plan([[1, 2]], [Lane(0.0, (Request(0, 1_000_000),))]))


def test_at_a_temperature_tokens_differ_from_stream_to_stream_and_come_again(load: PlanRunner) -> None:
    def tokens(temperature: float) -> list[list[int]]:
        return [one.tokens for one in load.run(constant([[1, 2, 3]], 4, 1, 20, temperature)).answers]

    assert len({tuple(one) for one in tokens(0.0)}) == 1
    assert len({tuple(one) for one in tokens(1.0)}) == 4
    assert tokens(1.0) == tokens(1.0)


def test_what_a_program_cannot_read_ends_it_with_an_error(load: PlanRunner) -> None:
    with pytest.raises(BenchFailure, match="ended, or did not answer"):
        load.run(Plan([], [Lane(0.0, (Request(0, 1),))]))


def test_the_server_says_how_long_its_model_took(load: PlanRunner, tmp_path: Path) -> None:
    before = ModelTime.read(metrics_port_file(tmp_path))
    found = load.run(constant(PROMPTS, 2, 1, 20))
    model = ModelTime.read(metrics_port_file(tmp_path)).since(before)
    # Each answer's first token comes with its prompt; the other steps are one's or both's.
    assert 19 <= model.decode_steps <= 38
    assert model.prefill_seconds > 0
    assert 0 < Step.of(found, model).server_share < 1


def test_the_bare_model_gives_the_tokens_that_predictd_gives(load: PlanRunner, repository: Path) -> None:
    program = Path(os.environ["PREDICTD_BUILD_DIR"]) / "tests" / "bench" / "bench_raw_generator"
    with LineProcess("raw", [str(program), "--model", str(repository / "tiny" / "1" / "model.pt")]) as raw:
        found = json.loads(raw.ask(json.dumps({"prompts": PROMPTS, "tokens": 12})))
        step = json.loads(raw.ask(json.dumps({"streams": 2, "context": 40, "seconds": 0.01})))
    served = load.run(constant(PROMPTS, len(PROMPTS), 1, 12))
    assert found["tokens"] == [one.tokens for one in served.answers]
    assert 0 < found["prefill_seconds"] < found["seconds"]
    assert step["seconds_per_step"] > 0


def test_logits_are_those_that_tokens_are_chosen_by(repository: Path, tmp_path: Path) -> None:
    program = Path(os.environ["PREDICTD_BUILD_DIR"]) / "tests" / "bench" / "bench_raw_generator"
    with LineProcess("raw", [str(program), "--model", str(repository / "tiny" / "1" / "model.pt")]) as raw:
        answers = json.loads(raw.ask(json.dumps({"prompts": PROMPTS, "tokens": 5})))["tokens"]
        texts = [prompt + answer for prompt, answer in zip(PROMPTS, answers, strict=True)]
        file = tmp_path / "logits"
        vocabulary = json.loads(raw.ask(json.dumps({"score": texts, "file": str(file)})))["vocabulary"]
        logits = np.fromfile(file, np.float32).reshape(len(texts[0]), len(texts), vocabulary)
        found = likelihoods([raw], texts, tmp_path)[0]
    first = len(PROMPTS[0])
    assert logits[first - 1 : -1].argmax(axis=2).T.tolist() == answers
    expected = torch.log_softmax(torch.from_numpy(logits).double(), 2)
    following = np.array(texts).T[1:]
    wanted = [[expected[i, j, following[i, j]].item() for j in range(len(texts))] for i in range(len(following))]
    assert found.logarithms == pytest.approx(np.array(wanted).ravel())
    assert found.perplexity == pytest.approx(np.exp(-np.mean(wanted)))


def test_a_difference_of_quality_is_of_the_same_tokens() -> None:
    ours, theirs = (Likelihood(name, np.array(values)) for name, values in (("a", [-1.0, -5.0]), ("b", [-1.5, -5.1])))
    difference, error = ours.less(theirs)
    assert difference == pytest.approx(0.3)
    # Far less than that of either mean.
    assert error == pytest.approx(0.2)


def test_random_weights_are_a_model_that_can_be_exported_and_run(tmp_path: Path) -> None:
    options = Namespace(root=ROOT)
    shape = Shape(layers=2, width=64, heads=2, key_heads=1, inner=128, context=64)
    file = tmp_path / "random.gguf"
    write_random_model(file, smollm2_file(options), shape)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(str(file)).tensors}
    for name, deviation in (("blk.1.ffn_down.weight", 128**-0.5), ("token_embd.weight", 1.0)):
        weights = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        assert abs(weights.mean()) < 0.05 * deviation
        assert weights.std() == pytest.approx(deviation, rel=0.05)
    build = Path(os.environ["PREDICTD_BUILD_DIR"])
    kernels = build / "lib" / "libpredictd_kernels.so"
    export = [sys.executable, str(ROOT / "scripts" / "export_generator.py"), str(file), str(tmp_path / "model")]
    subprocess.run([*export, "--kernels", str(kernels)], check=True)
    program = build / "tests" / "bench" / "bench_raw_generator"
    with LineProcess("raw", [str(program), "--model", str(tmp_path / "model" / "1" / "model.pt")]) as raw:
        found = likelihoods([raw], [list(range(100, 132))], tmp_path)[0]
    # It knows nothing, but has opinions: worse than a guess among 49,152.
    assert 49_152 < found.perplexity < 1e7


class OwnOperators(torch.nn.Module):
    """Gives back each sequence's last token, by operators of server/kernels: the likeliest row is its own."""

    def __init__(self) -> None:
        super().__init__()
        identity = torch.eye(32, dtype=torch.float16)
        self.register_buffer("packed", torch.ops.predictd.pack_f16(identity))

    @torch.jit.export
    def make_cache(self, slots: int, length: int) -> list[torch.Tensor]:
        return [torch.ops.predictd.make_cache(slots, 1, (length + 15) // 16 * 16, 32, torch.float16)]

    def forward(
        self, tokens: torch.Tensor, positions: torch.Tensor, first_slot: int, cache: list[torch.Tensor]
    ) -> torch.Tensor:
        rows = torch.ops.predictd.embedding(tokens[:, -1].contiguous(), self.packed, 32)
        return torch.ops.predictd.linear(rows, self.packed, None, 0.0)


def test_the_bare_model_may_use_our_operators(tmp_path: Path) -> None:
    build = Path(os.environ["PREDICTD_BUILD_DIR"])
    torch.ops.load_library(build / "lib" / "libpredictd_kernels.so")
    torch.jit.script(OwnOperators()).save(str(tmp_path / "model.pt"))
    program = build / "tests" / "bench" / "bench_raw_generator"
    with LineProcess("raw", [str(program), "--model", str(tmp_path / "model.pt")]) as raw:
        found = json.loads(raw.ask(json.dumps({"prompts": PROMPTS, "tokens": 2})))
        step = json.loads(raw.ask(json.dumps({"streams": 2, "context": 40, "seconds": 0.01})))
    assert found["tokens"] == [[3, 3], [6, 6], [9, 9]]
    assert step["seconds_per_step"] > 0
