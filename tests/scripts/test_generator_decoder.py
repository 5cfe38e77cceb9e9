"""The plain module computes what the reference does, however its tokens are cut into calls, whoever runs beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch

from decoding import Sequence, exported, logits_beside_reference
from generator_export.folder import write_generator
from generator_export.gguf_source import read_gguf
from generator_export.huggingface_source import read_huggingface
from generator_export.options import FolderOptions
from generator_export.reference import ReferenceModel
from generator_export.source import Source
from tiny_models import VOCABULARY, tiny_model, write_gguf, write_safetensors

KINDS = ("llama", "qwen2", "qwen3")
# Of weights in half precision, on logits between -8 and 8.
TOLERANCE = 0.03
# Of sums in another order: most are to the last bit the same, but that depends on processor, threads and libraries.
ROUNDING = 1e-4
LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> torch.jit.ScriptModule:
    folder = tmp_path_factory.mktemp("llama")
    source = read_huggingface(write_safetensors(folder / "source", tiny_model("llama")))
    return exported(source, folder / "out", fused=False)


@pytest.fixture(scope="module", autouse=True)
def _as_served(one_thread: None) -> Iterator[None]:
    with torch.inference_mode():
        yield


def check_against_reference(source: Source, folder: Path, tolerance: float = TOLERANCE) -> None:
    actual, expected = logits_beside_reference(source, exported(source, folder, fused=False))
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_safetensors_equal_the_reference(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    folder = write_safetensors(tmp_path / "source", tiny_model(kind), dtype)
    check_against_reference(read_huggingface(folder), tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("matrices", ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_gguf_equals_the_reference(tmp_path: Path, kind: str, matrices: str) -> None:
    check_against_reference(read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model(kind), matrices)), tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_both_formats_of_a_model_compute_the_same(tmp_path: Path, kind: str) -> None:
    tiny = tiny_model(kind)
    tokens = Sequence(60, seed=2).tokens[0]
    from_folder = read_huggingface(write_safetensors(tmp_path / "source", tiny)).checkpoint
    from_gguf = read_gguf(write_gguf(tmp_path / "a.gguf", tiny)).checkpoint
    torch.testing.assert_close(
        ReferenceModel(from_folder).logits(tokens), ReferenceModel(from_gguf).logits(tokens), atol=1e-4, rtol=0
    )


def test_llama3_scaling_slows_down_the_slow_pairs(tmp_path: Path) -> None:
    scaled = read_huggingface(write_safetensors(tmp_path / "scaled", tiny_model("llama", rope_scaling=LLAMA3_SCALING)))
    plain = read_huggingface(write_safetensors(tmp_path / "plain", tiny_model("llama")))
    pairs = list(
        zip(
            scaled.checkpoint.architecture.rope.frequencies, plain.checkpoint.architecture.rope.frequencies, strict=True
        )
    )
    assert pairs[0][0] == pairs[0][1]
    assert pairs[-1][0] == pytest.approx(pairs[-1][1] / 8)
    assert any(slow / 8 < between < slow for between, slow in pairs)
    check_against_reference(scaled, tmp_path / "out")


def test_scaled_positions_equal_the_reference(tmp_path: Path) -> None:
    scaling = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
    source = read_huggingface(write_safetensors(tmp_path / "source", tiny_model("llama", rope_scaling=scaling)))
    assert source.checkpoint.architecture.rope.scale == pytest.approx(1.1386, abs=1e-4)
    # Sharper attention makes more of rounding.
    check_against_reference(source, tmp_path / "out", 2 * TOLERANCE)


@pytest.mark.parametrize(("max_length", "factor", "positions"), [(None, 4.0, 2048), (100, 2.0, 128), (129, 4.0, 2048)])
def test_long_texts_have_other_frequencies_than_short_ones(
    tmp_path: Path, max_length: int | None, factor: float, positions: int
) -> None:
    factors = {"short_factor": [2.0] * 16, "long_factor": [4.0] * 16}
    plain = read_huggingface(write_safetensors(tmp_path / "plain", tiny_model("llama"))).checkpoint.architecture
    scaling = {"type": "su", "original_max_position_embeddings": 128, "attention_factor": 1.5, **factors}
    folder = write_safetensors(tmp_path / "long", tiny_model("llama", rope_scaling=scaling))
    tensors = {f"rope_factors_{key[:-7]}.weight": numpy.array(value, numpy.float32) for key, value in factors.items()}
    metadata: dict[str, str | float] = {
        "llama.rope.scaling.type": "longrope",
        "llama.rope.scaling.original_context_length": 128,
        "llama.rope.scaling.attn_factor": 1.5,
    }
    file = write_gguf(tmp_path / "a.gguf", tiny_model("llama"), metadata=metadata, further=tensors)
    for source in (read_huggingface(folder, max_length), read_gguf(file, max_length)):
        architecture = source.checkpoint.architecture
        assert architecture.rope.frequencies == pytest.approx([each / factor for each in plain.rope.frequencies])
        assert (architecture.rope.scale, architecture.context.length) == (1.5, positions)


@pytest.mark.parametrize(
    ("keys", "slower"),
    [
        ({"scaling.factor": 4.0}, 4.0),
        ({"scale_linear": 4.0}, 4.0),
        ({"scaling.type": "linear", "scale_linear": 4.0}, 4.0),
        ({"scaling.factor": 2.0, "scale_linear": 4.0}, 2.0),
        ({"scaling.type": "none", "scaling.factor": 4.0}, 1.0),
        ({"scaling.type": "longrope", "scaling.factor": 4.0}, 4.0),
        # No scaling.
        ({"scaling.factor": 0.0}, 1.0),
        ({"scaling.type": "linear", "scaling.factor": 0.0}, 1.0),
        ({"scaling.factor": 0.0, "scale_linear": 4.0}, 1.0),
        ({"scale_linear": 0.0}, 1.0),
    ],
)
def test_a_factor_of_a_gguf_file_is_linear_unless_it_says_otherwise(
    tmp_path: Path, keys: dict[str, str | float], slower: float
) -> None:
    """As llama.cpp has it."""
    plain = read_gguf(write_gguf(tmp_path / "a.gguf", tiny_model("llama"))).checkpoint.architecture
    metadata = {f"llama.rope.{key}": value for key, value in keys.items()}
    file = write_gguf(tmp_path / "b.gguf", tiny_model("llama"), metadata=metadata)
    frequencies = read_gguf(file).checkpoint.architecture.rope.frequencies
    assert frequencies == pytest.approx([each / slower for each in plain.rope.frequencies])


@pytest.mark.parametrize(("fused", "misfit"), [(False, None), (True, "the feed forward network has biases")])
def test_biases_of_all_matrices_equal_the_reference(tmp_path: Path, fused: bool, misfit: str | None) -> None:
    model = tiny_model("llama")
    rows = {name: len(tensor) for name, tensor in model.tensors.items() if "_proj" in name}
    for name, count in rows.items():
        generator = torch.Generator().manual_seed(count)
        bias = torch.randn(count, generator=generator) * ("o_proj" not in name)
        model.tensors[name.replace("weight", "bias")] = bias
    source = read_huggingface(write_safetensors(tmp_path / "source", model))
    written = write_generator(source, tmp_path / "out", FolderOptions(max_length=256, fused=fused))
    assert written.misfit == misfit
    actual, expected = logits_beside_reference(source, torch.jit.load(tmp_path / "out" / "1" / "model.pt"))
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("chunks", [(16,) * 64, (1,) * 300 + (724,), (5, 512, 507), (1023, 1)])
def test_a_prompt_in_chunks_gives_the_same_answer(model: torch.jit.ScriptModule, chunks: tuple[int, ...]) -> None:
    cache = model.make_cache(2, 1024)
    sequence = Sequence(1024, seed=3)
    whole = sequence.run(model, cache, 0, 1024)
    torch.testing.assert_close(sequence.run(model, cache, 1, *chunks), whole, atol=ROUNDING, rtol=0)


def test_parts_without_logits_give_the_same_answer(model: torch.jit.ScriptModule) -> None:
    cache = model.make_cache(2, 128)
    sequence = Sequence(100, seed=4)
    whole = sequence.run(model, cache, 0, 100)
    assert model.prefill(sequence.tokens[:, :60], sequence.positions[:, :60], 1, cache) is None
    rest = model(sequence.tokens[:, 60:], sequence.positions[:, 60:], 1, cache)
    torch.testing.assert_close(rest, whole, atol=ROUNDING, rtol=0)


def test_a_sequence_does_not_depend_on_its_neighbours(model: torch.jit.ScriptModule) -> None:
    lengths = (100, 1, 33, 250, 256, 7, 32, 31, 300, 400, 511, 512, 90, 900, 530, 1000)
    sequences = [Sequence(length + 1, seed=length) for length in lengths]
    alone_cache, cache = model.make_cache(1, 1100), model.make_cache(16, 1100)
    alone = [each.run(model, alone_cache, 0, length, 1) for each, length in zip(sequences, lengths, strict=True)]
    for slot, (each, length) in enumerate(zip(sequences, lengths, strict=True)):
        model(each.tokens[:, :length], each.positions[:, :length], slot, cache)
    tokens = torch.cat([each.tokens[:, -1:] for each in sequences])
    positions = torch.tensor(lengths).view(-1, 1)
    torch.testing.assert_close(model(tokens, positions, 0, cache), torch.cat(alone), atol=ROUNDING, rtol=0)


def test_prompts_of_one_length_run_together(model: torch.jit.ScriptModule) -> None:
    sequences = [Sequence(40, seed=seed) for seed in range(5)]
    cache = model.make_cache(8, 64)
    alone = [each.run(model, cache, 7, 40) for each in sequences]
    tokens, positions = (torch.cat([getattr(each, name) for each in sequences]) for name in ("tokens", "positions"))
    torch.testing.assert_close(model(tokens, positions, 2, cache), torch.cat(alone), atol=ROUNDING, rtol=0)


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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_memory_that_was_something_else_does_not_reach_an_answer(model: torch.jit.ScriptModule, value: float) -> None:
    def leave_rubbish() -> None:
        rubbish = [torch.zeros(2, 256, 128) for _ in range(50)]
        for each in rubbish:
            each[1, 150] = value
        del each, rubbish

    leave_rubbish()
    assert not torch.equal(torch.empty([2, 256, 128]), torch.zeros([2, 256, 128]))
    leave_rubbish()
    cache = model.make_cache(2, 256)
    long, short = Sequence(201, seed=7), Sequence(4, seed=8)
    long.run(model, cache, 0, 201)
    short.run(model, cache, 1, 4)
    tokens = torch.cat([long.tokens[:, -1:], short.tokens[:, -1:]])
    assert model(tokens, torch.tensor([[200], [3]]), 0, cache).isfinite().all()


def test_a_new_cache_takes_no_memory(model: torch.jit.ScriptModule) -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = resident_bytes()
    cache = model.make_cache(4000, 512)
    assert sum(kv.nbytes for kv in cache) > 3_000_000_000
    assert resident_bytes() - before < 64 << 20


@pytest.mark.parametrize(
    ("token", "position", "slot"),
    [(0, 256, 0), (0, -1, 0), (0, 0, 2), (0, 0, -1), (VOCABULARY, 0, 0), (-1, 0, 0)],
)
def test_what_is_out_of_bounds_is_an_error(model: torch.jit.ScriptModule, token: int, position: int, slot: int) -> None:
    cache = model.make_cache(2, 256)
    with pytest.raises((torch.jit.Error, RuntimeError, IndexError)):
        model(torch.tensor([[token]]), torch.tensor([[position]]), slot, cache)


@pytest.mark.parametrize(("slots", "length"), [(0, 10), (1, 0), (1, 2049)])
def test_a_cache_of_an_impossible_size_is_an_error(model: torch.jit.ScriptModule, slots: int, length: int) -> None:
    with pytest.raises((torch.jit.Error, RuntimeError)):
        model.make_cache(slots, length)


@pytest.mark.parametrize(("source", "destination", "begin", "end"), [(2, 0, 0, 1), (0, -1, 0, 1), (0, 1, 0, 257)])
def test_a_copy_out_of_bounds_is_an_error(
    model: torch.jit.ScriptModule, source: int, destination: int, begin: int, end: int
) -> None:
    cache = model.make_cache(2, 256)
    with pytest.raises((torch.jit.Error, RuntimeError)):
        model.copy_slot(cache, source, destination, begin, end)
