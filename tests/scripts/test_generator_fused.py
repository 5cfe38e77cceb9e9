"""The module on the project's own operators computes what the reference does, to the last bit the same whoever runs
beside and however its tokens are cut into calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from decoding import Sequence, exported, logits_beside_reference
from generator_export.architecture import Architecture
from generator_export.fused_layout import build_fused_decoder, shape_misfit
from generator_export.gguf_source import read_gguf
from generator_export.huggingface_source import read_huggingface
from generator_export.kernels import load_kernels
from generator_export.options import default_kernels
from generator_export.source import Source
from generator_export.weights import Weights
from tiny_models import VOCABULARY, tiny_model, write_gguf, write_safetensors

KINDS = ("llama", "qwen2", "qwen3")
# Of logits between -8 and 8 where the source has half precision: with a cache in single precision the only difference
# is the order of sums.
TOLERANCE = {"f32": 1e-3, "f16": 0.03}
# Of activations in 8 bits: root mean square, as a part of that of the logits. Random weights make more of it than those
# of real models; a weight in a wrong place makes it 1.
QUANTISED_TOLERANCE = 0.12


@pytest.fixture(scope="module", autouse=True)
def _as_served(one_thread: None) -> Iterator[None]:
    with torch.inference_mode():
        yield


def check_half_precision(source: Source, folder: Path, cache: str = "f32") -> None:
    actual, expected = logits_beside_reference(source, exported(source, folder, cache=cache))
    torch.testing.assert_close(actual, expected, atol=TOLERANCE[cache], rtol=0)


def check_quantised(source: Source, folder: Path, weights: str = "source") -> None:
    actual, expected = logits_beside_reference(source, exported(source, folder, weights=weights))
    error = float((actual - expected).square().mean().sqrt() / expected.square().mean().sqrt())
    assert 1e-4 < error < QUANTISED_TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cache", ["f16", "f32"])
@pytest.mark.parametrize("tied", [False, True])
def test_safetensors_equal_the_reference(tmp_path: Path, kind: str, cache: str, tied: bool) -> None:
    model = tiny_model(kind, tie_word_embeddings=tied)
    source = read_huggingface(write_safetensors(tmp_path / "source", model, torch.float16))
    check_half_precision(source, tmp_path / "out", cache)


@pytest.mark.parametrize("kind", KINDS)
def test_gguf_equals_the_reference(tmp_path: Path, kind: str) -> None:
    source = read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model(kind), "F16"))
    check_half_precision(source, tmp_path / "out")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_floats_are_close_to_the_reference(tmp_path: Path, dtype: torch.dtype) -> None:
    source = read_huggingface(write_safetensors(tmp_path / "source", tiny_model("qwen2"), dtype))
    actual, expected = logits_beside_reference(source, exported(source, tmp_path / "out"))
    torch.testing.assert_close(actual, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("head_width", [32, 64, 96, 128])
@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (3, 1), (8, 1), (6, 2)])
def test_heads_of_any_width_and_number_equal_the_reference(
    tmp_path: Path, head_width: int, heads: int, kv_heads: int
) -> None:
    changes = {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_width}
    model = tiny_model("qwen3", num_hidden_layers=2, **changes)
    check_half_precision(
        read_huggingface(write_safetensors(tmp_path / "source", model, torch.float16)), tmp_path / "out"
    )


@pytest.mark.parametrize("tied", [False, True])
def test_a_vocabulary_that_is_filled_up_is_cut_again(tmp_path: Path, tied: bool) -> None:
    model = tiny_model("qwen2", vocab_size=VOCABULARY + 5, tie_word_embeddings=tied)
    source = read_huggingface(write_safetensors(tmp_path / "source", model, torch.float16))
    check_half_precision(source, tmp_path / "out")
    assert "vocabulary_size = 325\n" in (tmp_path / "out" / "model.toml").read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("matrices", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_quantised_gguf_is_close_to_the_reference(tmp_path: Path, kind: str, matrices: str) -> None:
    check_quantised(read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model(kind), matrices)), tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("matrices", ["Q4_K", "Q5_K", "Q6_K"])
def test_k_quants_are_close_to_the_reference(tmp_path: Path, kind: str, matrices: str) -> None:
    model = tiny_model(kind, hidden_size=256, intermediate_size=256, num_attention_heads=4, head_dim=64)
    # As llama.cpp mixes them: some parts of a matrix have more bits than others.
    path = write_gguf(tmp_path / "a.gguf", model, matrices, others={"v_proj": "Q6_K", "layers.1.mlp.down": "Q6_K"})
    check_quantised(read_gguf(path), tmp_path / "out")


def test_a_chosen_format_is_close_to_the_reference(tmp_path: Path) -> None:
    source = read_huggingface(write_safetensors(tmp_path / "source", tiny_model("qwen2"), torch.bfloat16))
    check_quantised(source, tmp_path / "out", "q8")
    actual, expected = logits_beside_reference(source, exported(source, tmp_path / "out", weights="q4"))
    error = float((actual - expected).square().mean().sqrt() / expected.square().mean().sqrt())
    assert error < 0.5


@pytest.fixture(scope="module", params=["f16", "q8", "q4"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> torch.jit.ScriptModule:
    """One for each of the formats, which have kernels of their own."""
    folder = tmp_path_factory.mktemp("llama")
    source = read_huggingface(write_safetensors(folder / "source", tiny_model("llama")))
    return exported(source, folder / "out", weights=request.param)


@pytest.mark.parametrize("chunks", [(16,) * 32, (1,) * 100 + (412,), (5, 250, 257), (511, 1)])
def test_a_prompt_in_chunks_gives_the_same_bits(model: torch.jit.ScriptModule, chunks: tuple[int, ...]) -> None:
    cache = model.make_cache(2, 512)
    sequence = Sequence(512, seed=3)
    whole = sequence.run(model, cache, 0, 512)
    assert torch.equal(sequence.run(model, cache, 1, *chunks), whole)


def test_parts_without_logits_give_the_same_bits(model: torch.jit.ScriptModule) -> None:
    cache = model.make_cache(2, 128)
    sequence = Sequence(100, seed=4)
    whole = sequence.run(model, cache, 0, 100)
    assert model.prefill(sequence.tokens[:, :60], sequence.positions[:, :60], 1, cache) is None
    assert torch.equal(model(sequence.tokens[:, 60:], sequence.positions[:, 60:], 1, cache), whole)


@pytest.fixture(name="alone", scope="module")
def fixture_alone(model: torch.jit.ScriptModule) -> tuple[list[Sequence], Tensor]:
    """64 sequences of other lengths, and what comes after each, run alone: all of it in one call, then one token."""
    sequences = [Sequence(1 + seed * 37 % 131 + (300 if seed % 20 == 7 else 0), seed) for seed in range(1, 65)]
    cache = model.make_cache(1, 512)
    return sequences, torch.cat([each.run(model, cache, 0, *prompt_and_last(each)) for each in sequences])


def prompt_and_last(sequence: Sequence) -> tuple[int, ...]:
    length = sequence.tokens.size(1)
    return (1,) if length == 1 else (length - 1, 1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 64])
def test_a_sequence_does_not_depend_on_its_neighbours(
    model: torch.jit.ScriptModule, alone: tuple[list[Sequence], Tensor], count: int, threads: int
) -> None:
    sequences, expected = alone[0][:count], alone[1][:count]
    torch.set_num_threads(threads)
    try:
        cache = model.make_cache(64, 512)
        first_slot = 64 - count
        for slot, each in enumerate(sequences, first_slot):
            length = each.tokens.size(1) - 1
            if length:
                model(each.tokens[:, :length], each.positions[:, :length], slot, cache)
        tokens = torch.cat([each.tokens[:, -1:] for each in sequences])
        positions = torch.cat([each.positions[:, -1:] for each in sequences])
        assert torch.equal(model(tokens, positions, first_slot, cache), expected)
    finally:
        torch.set_num_threads(1)


def test_prompts_of_one_length_run_together(model: torch.jit.ScriptModule) -> None:
    sequences = [Sequence(40, seed=seed) for seed in range(5)]
    cache = model.make_cache(8, 64)
    alone = [each.run(model, cache, 7, 40) for each in sequences]
    tokens, positions = (torch.cat([getattr(each, name) for each in sequences]) for name in ("tokens", "positions"))
    assert torch.equal(model(tokens, positions, 2, cache), torch.cat(alone))


def test_a_copied_slot_goes_on_as_the_original(model: torch.jit.ScriptModule) -> None:
    cache = model.make_cache(4, 256)
    sequence = Sequence(100, seed=5)
    expected = sequence.run(model, cache, 3, 90, *[1] * 10)
    Sequence(200, seed=6).run(model, cache, 0, 200)
    # In two parts, the second before the first, into a slot that another sequence has left and one that nobody used.
    for destination in (0, 1):
        model.copy_slot(cache, 3, destination, 50, 99)
        model.copy_slot(cache, 3, destination, 0, 50)
        assert torch.equal(model(sequence.tokens[:, -1:], sequence.positions[:, -1:], destination, cache), expected)


def test_a_module_that_was_saved_again_computes_the_same(model: torch.jit.ScriptModule, tmp_path: Path) -> None:
    model.save(tmp_path / "again.pt")
    again = torch.jit.load(tmp_path / "again.pt")
    sequence = Sequence(20, seed=9)
    expected = sequence.run(model, model.make_cache(1, 32), 0, 20)
    assert torch.equal(sequence.run(again, again.make_cache(1, 32), 0, 20), expected)


@pytest.mark.parametrize("sample", [0, 2, 4])
def test_weights_that_are_packed_otherwise_are_refused(tmp_path: Path, sample: int) -> None:
    load_kernels(default_kernels())
    source = read_huggingface(write_safetensors(tmp_path / "source", tiny_model("llama")))
    decoder = build_fused_decoder(source.checkpoint, Weights(source.checkpoint, None), half_cache=True)
    decoder.samples[sample] = decoder.samples[sample].flip(1)
    torch.jit.script(decoder).save(tmp_path / "model.pt")
    with pytest.raises(torch.jit.Error, match="packed for another version of predictd: export the model again"):
        torch.jit.load(tmp_path / "model.pt")


def test_the_cache_is_as_large_as_it_has_to_be(tmp_path: Path) -> None:
    source = read_huggingface(write_safetensors(tmp_path / "source", tiny_model("llama")))
    for kind, width in (("f16", 2), ("f32", 4)):
        cache = exported(source, tmp_path / "out", cache=kind).make_cache(5, 100)
        assert len(cache) == 3
        # Keys and values of two heads of width 32, at positions in blocks of 16.
        assert {kv.nbytes for kv in cache} == {5 * 112 * 2 * 2 * 32 * width}
        assert all(kv.size(0) == 5 and not kv.any() for kv in cache)


def test_a_step_is_few_operations(model: torch.jit.ScriptModule) -> None:
    """Each costs microseconds, whatever the size of the model."""
    cache = model.make_cache(8, 64)
    tokens, positions = torch.ones(8, 1, dtype=torch.int64), torch.zeros(8, 1, dtype=torch.int64)
    model(tokens, positions, 0, cache)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        model(tokens, positions, 0, cache)
    names = [event.name for event in profile.events() if "::" in event.name]
    assert sum(name.startswith("predictd::") for name in names) == 3
    assert len(names) < 10, names


@pytest.mark.parametrize(
    ("token", "position", "slot"), [(5, 256, 0), (5, -1, 0), (5, 3, 2), (5, 3, -1), (VOCABULARY, 0, 0), (-1, 0, 0)]
)
def test_what_is_out_of_bounds_is_an_error(model: torch.jit.ScriptModule, token: int, position: int, slot: int) -> None:
    cache = model.make_cache(2, 256)
    with pytest.raises(RuntimeError, match=r"token -?\d+ is not|position -?\d+ is not|slots .* are not among 2"):
        model(torch.tensor([[token]]), torch.tensor([[position]]), slot, cache)


@pytest.mark.parametrize(
    ("tokens", "positions"),
    [
        (torch.ones(2, 3, dtype=torch.int64), torch.arange(2).view(2, 1)),
        (torch.ones(2, 2, dtype=torch.int64), torch.tensor([[0, 1], [5, 5]])),
        (torch.ones(1, 1, dtype=torch.int32), torch.zeros(1, 1, dtype=torch.int64)),
        (torch.ones(1, 1, dtype=torch.int64), torch.zeros(1, 1)),
        (torch.ones(3, 1, dtype=torch.int64), torch.zeros(3, 1, dtype=torch.int64)),
        (torch.ones(1, 0, dtype=torch.int64), torch.zeros(1, 0, dtype=torch.int64)),
    ],
)
def test_calls_of_the_wrong_shape_are_errors(model: torch.jit.ScriptModule, tokens: Tensor, positions: Tensor) -> None:
    with pytest.raises((torch.jit.Error, RuntimeError)):
        model(tokens, positions, 0, model.make_cache(2, 64))


@pytest.mark.parametrize(("slots", "length"), [(0, 10), (1, 0), (1, 2049), (-1, 10), (1, -5), (1 << 60, 2048)])
def test_a_cache_of_an_impossible_size_is_an_error(model: torch.jit.ScriptModule, slots: int, length: int) -> None:
    with pytest.raises((torch.jit.Error, RuntimeError)):
        model.make_cache(slots, length)


@pytest.mark.parametrize(
    ("source", "destination", "begin", "end"), [(2, 0, 0, 1), (0, -1, 0, 1), (0, 1, 0, 257), (0, 1, 5, 4)]
)
def test_a_copy_out_of_bounds_is_an_error(
    model: torch.jit.ScriptModule, source: int, destination: int, begin: int, end: int
) -> None:
    cache = model.make_cache(2, 256)
    with pytest.raises((torch.jit.Error, RuntimeError)):
        model.copy_slot(cache, source, destination, begin, end)


def test_a_cache_of_another_model_is_an_error(model: torch.jit.ScriptModule) -> None:
    cache = model.make_cache(2, 64)
    for wrong in (cache[:2], [*cache, cache[0]], [each[:, :, :1].contiguous() for each in cache], []):
        with pytest.raises((torch.jit.Error, RuntimeError, IndexError)):
            model(torch.tensor([[1]]), torch.tensor([[0]]), 0, wrong)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"head_width": 128, "heads": 7, "kv_heads": 7}, None),
        ({"head_width": 80}, "the heads' width is 80, not 32, 64, 96 or 128"),
        ({"width": 100}, "the width is 100, not a multiple of 32"),
        ({"feed_forward_width": 161}, "the feed forward width is 161, not a multiple of 32"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, int], expected: str | None) -> None:
    source = read_huggingface(write_safetensors(tmp_path, tiny_model("llama")))
    known = vars(source.checkpoint.architecture)
    assert shape_misfit(Architecture(**{**known, **changes})) == expected
