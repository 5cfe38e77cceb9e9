"""The operators compute what a plain reference in double precision does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from decoder_parts import EPSILON, FORMATS, TOLERANCE, Decoder, Layer, Shape, distance, normed, random_matrix

OPS = torch.ops.predictd
SHAPES = {
    "llama": Shape(),
    "qwen2": Shape(width=96, kv_heads=1, group=7, head_width=64, bias=True),
    "qwen3": Shape(kv_heads=2, group=1, head_width=128, feed_forward=160, head_norms=True),
    "width 96": Shape(kv_heads=1, group=2, head_width=96, bias=True, head_norms=True),
}


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shape", [(16, 32), (48, 96), (32, 1024)])
def test_what_was_packed_is_unpacked(form: str, shape: tuple[int, int]) -> None:
    matrix = random_matrix(form, *shape, seeded())
    assert matrix.packed.dtype == torch.uint8
    assert matrix.packed.size(0) == shape[0] // 16
    torch.testing.assert_close(OPS.unpack(matrix.packed, shape[1]).double(), matrix.values, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("form", FORMATS)
def test_an_embedding_is_a_row(form: str) -> None:
    matrix = random_matrix(form, 48, 96, seeded())
    tokens = torch.tensor([47, 0, 15, 16, 16])
    assert torch.equal(OPS.embedding(tokens, matrix.packed, 96), OPS.unpack(matrix.packed, 96)[tokens])
    assert OPS.embedding(tokens[:0], matrix.packed, 96).shape == (0, 96)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lead", [(), (1,), (5,), (2, 3), (2, 1, 17)])
@pytest.mark.parametrize("with_norm", [False, True])
def test_linear(form: str, lead: tuple[int, ...], with_norm: bool) -> None:
    matrix = random_matrix(form, 80, 96, seeded())
    x = torch.randn(*lead, 96, generator=seeded(2))
    norm = torch.rand(96, generator=seeded(3)) + 0.5 if with_norm else None
    y = OPS.linear(x, matrix.packed, norm, EPSILON)
    expected = (x.double() if norm is None else normed(x.double(), norm)) @ matrix.values.T
    assert y.shape == (*lead, 80)
    assert y.dtype == torch.float32
    assert distance(y, expected, torch.zeros_like(y)) < TOLERANCE[form]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_attention(form: str, shape: Shape, dtype: torch.dtype) -> None:
    layer = Layer(shape, form, seeded())
    x = torch.randn(19, shape.width, generator=seeded(2))
    cache = layer.make_cache(dtype)
    got = x.clone()
    layer.run_attention(got, torch.arange(19).view(1, -1), 2, cache)
    assert distance(got, layer.attention(x), x) < max(TOLERANCE[form], 1e-3 if dtype == torch.float16 else 0)
    assert cache[2].count_nonzero() > 0
    assert cache[[0, 1, 3]].count_nonzero() == 0


@pytest.mark.parametrize("form", FORMATS)
def test_feed_forward(form: str) -> None:
    layer = Layer(Shape(), form, seeded())
    x = torch.randn(11, layer.shape.width, generator=seeded(2))
    got = x.clone()
    layer.run_feed_forward(got)
    assert distance(got, layer.feed_forward(x), x) < TOLERANCE[form]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_layers_are_the_blocks_one_after_the_other(form: str, shape: Shape) -> None:
    decoder = Decoder(form, layers=3, shape=shape)
    x = decoder.tokens(13)
    positions = torch.arange(13).view(1, -1)
    got = decoder.run(x, positions, slot=1)
    blocks = x.clone()
    for layer in decoder.layers:
        layer.run_attention(blocks, positions, 0, layer.make_cache())
        layer.run_feed_forward(blocks)
    assert torch.equal(got, blocks)
    assert distance(got, decoder.in_double_precision(x), x) < 2 * TOLERANCE[form]


def test_sequences_do_not_see_each_other() -> None:
    decoder = Decoder()
    tokens = [decoder.tokens(12, seed) for seed in range(3)]
    alone = [decoder.run(x, torch.arange(12).view(1, -1)) for x in tokens]
    together = decoder.run(torch.cat(tokens), torch.arange(12).repeat(3, 1), slot=1)
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("chunk", [1, 3, 5, 11])
def test_a_prompt_may_be_cut_anywhere(chunk: int) -> None:
    decoder = Decoder()
    x = decoder.tokens(23)
    whole = decoder.run(x, torch.arange(23).view(1, -1))
    cut = zip(x.split(chunk), torch.arange(23).split(chunk), strict=True)
    parts = [decoder.run(part, positions.view(1, -1)) for part, positions in cut]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_does_not_matter(threads: int) -> None:
    decoder = Decoder("q8")
    x = decoder.tokens(9)
    positions = torch.arange(3).repeat(3, 1)
    expected = decoder.run(x, positions)
    torch.set_num_threads(threads)
    assert torch.equal(decoder.run(x, positions), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_copied_slot_goes_on_as_the_original(dtype: torch.dtype) -> None:
    layer = Layer(Shape(), "q4", seeded())
    cache = layer.make_cache(dtype)
    x = torch.randn(20, 64, generator=seeded(2))
    layer.run_attention(x, torch.arange(20).view(1, -1), 0, cache)
    before = cache.clone()
    OPS.copy_slot_(cache, 0, 3, 0, 20)
    assert torch.equal(cache[:3], before[:3])
    following = torch.randn(1, 64, generator=seeded(3))
    original, copied = following.clone(), following.clone()
    layer.run_attention(original, torch.tensor([[20]]), 0, cache)
    layer.run_attention(copied, torch.tensor([[20]]), 3, cache)
    assert torch.equal(original, copied)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_cache_is_zeros_of_the_shape_that_was_asked_for(dtype: torch.dtype) -> None:
    cache = OPS.make_cache(3, 2, 48, 64, dtype)
    assert cache.shape == (3, 2, 2, 48, 64)
    assert cache.dtype == dtype
    assert cache.is_contiguous()
    assert cache.count_nonzero() == 0
    # On memory of which there is more than this machine has, because it is taken when it is touched.
    assert OPS.make_cache(1024, 64, 65536, 128, dtype).size(0) == 1024


def test_placed_tensors_are_equal_and_outlive_each_other() -> None:
    tensors = [torch.randn(3, 5), torch.arange(7), torch.zeros(0, 4), torch.tensor(3.0), torch.randn(100).half()]
    placed = OPS.place(tensors)
    for before, after in zip(tensors, placed, strict=True):
        assert torch.equal(before, after)
        assert before.dtype == after.dtype
        assert before.numel() == 0 or (after.data_ptr() != before.data_ptr() and after.data_ptr() % 64 == 0)
    last = placed[-1]
    del placed, after
    assert torch.equal(last, tensors[-1])
    assert OPS.place([]) == []


def test_what_is_not_a_number_spoils_its_row_only() -> None:
    decoder = Decoder()
    x = decoder.tokens(3)
    positions = torch.zeros(3, 1, dtype=torch.int64)
    good = decoder.run(x, positions)
    x[1, 5] = float("nan")
    got = decoder.run(x, positions)
    assert torch.equal(got[[0, 2]], good[[0, 2]])
    assert got[1].isnan().all()


class Step(torch.nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.weights = layer.weights()
        self.turns = layer.turns

    @torch.jit.export
    def make_cache(self, slots: int) -> list[Tensor]:
        return [torch.ops.predictd.make_cache(slots, 2, 64, 32, torch.float16)]

    def forward(self, x: Tensor, positions: Tensor, slot: int, cache: list[Tensor]) -> Tensor:
        torch.ops.predictd.layers_(x, 1e-5, self.weights, [], [], self.turns, positions, slot, cache)
        return torch.ops.predictd.linear(x, self.weights[4], self.weights[0], 1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_module_is_saved_loaded_and_the_same(tmp_path: Path) -> None:
    step = Step(Layer(Shape(), "q4", seeded()))
    torch.jit.script(step).save(str(tmp_path / "model.pt"))
    loaded = torch.jit.freeze(torch.jit.load(tmp_path / "model.pt").eval(), preserved_attrs=["make_cache"])
    x = torch.randn(6, 64, generator=seeded(2))
    positions = torch.arange(3).repeat(2, 1)
    expected = step(x.clone(), positions, 1, step.make_cache(4))
    # The second and third call run what the first ones made TorchScript compile.
    for _ in range(3):
        assert torch.equal(loaded(x.clone(), positions, 1, loaded.make_cache(4)), expected)
