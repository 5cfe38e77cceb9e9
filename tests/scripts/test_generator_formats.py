"""Weights keep what their source has where the operators' formats can hold it; what is lost otherwise is little, and
said."""

from __future__ import annotations

import re
from pathlib import Path

import gguf
import numpy
import pytest
import torch

from generator_export.checkpoint import Checkpoint
from generator_export.dequantize import TENSOR_TYPES, dequantize
from generator_export.errors import ExportError
from generator_export.gguf_source import read_gguf
from generator_export.huggingface_source import read_huggingface
from generator_export.kernels import load_kernels, packed
from generator_export.matrix import Format, Matrix, quantised
from generator_export.options import default_kernels
from generator_export.weights import Weights
from tiny_models import dequantised, random_blocks, tiny_model, write_gguf, write_safetensors
from tiny_models import quantised as quantised_by_llama_cpp

# The width of K-quants' blocks.
WIDE = {"hidden_size": 256, "intermediate_size": 256, "head_dim": 32, "num_attention_heads": 8}


@pytest.fixture(scope="module", autouse=True)
def _operators() -> None:
    load_kernels(default_kernels())


def random_values(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)) * 0.1


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((actual - expected).square().sum() / expected.square().sum()).sqrt())


def checkpoint(folder: Path, matrices: str, others: dict[str, str] | None = None) -> Checkpoint:
    return read_gguf(write_gguf(folder / "a.gguf", tiny_model("qwen2", **WIDE), matrices, others=others)).checkpoint


def loss(line: str) -> float:
    found = re.search(r"relative RMS error (\S+) over", line)
    assert found, line
    return float(found[1])


def by_name(name: str) -> int:
    return next(number for number, kind in TENSOR_TYPES.items() if kind.name == name)


@pytest.mark.parametrize(
    ("kind", "halves", "values", "total"),
    [
        (
            "Q4_K",
            {0: 0.0125, 2: 0.0625},
            [
                -1.6003570556640625,
                -1.7628173828125,
                -0.600738525390625,
                2.136932373046875,
                1.7495269775390625,
                1.24951171875,
                -0.7751922607421875,
                -0.5130615234375,
                4.660675048828125,
                -0.125,
                -1.4375,
                -1.4375,
            ],
            276.1265869140625,
        ),
        (
            "Q5_K",
            {0: 0.0125, 2: 0.0625},
            [
                0.9990081787109375,
                -1.7628173828125,
                4.348052978515625,
                8.335418701171875,
                7.9480133056640625,
                2.249267578125,
                3.4237823486328125,
                0.63665771484375,
                5.810394287109375,
                -0.125,
                -1.4375,
                -1.4375,
            ],
            984.9534912109375,
        ),
        (
            "Q6_K",
            {208: -0.001953125},
            [
                -0.314453125,
                2.34375,
                2.162109375,
                0.177734375,
                -0.3359375,
                -0.984375,
                -1.818359375,
                -3.57421875,
                0.7265625,
                0.830078125,
                -0.634765625,
                1.875,
            ],
            28.9921875,
        ),
    ],
)
def test_k_quants_are_what_ggml_reads(kind: str, halves: dict[int, float], values: list[float], total: float) -> None:
    """The values are those of ggml's dequantize_row functions, for every 23rd element."""
    tensor_type = TENSOR_TYPES[by_name(kind)]
    block = (numpy.arange(tensor_type.block_bytes) * 73 + 41).astype(numpy.uint8)
    for first, value in halves.items():
        block[first : first + 2] = numpy.frombuffer(numpy.float16(value).tobytes(), numpy.uint8)
    actual = dequantize(block, tensor_type)
    assert actual[::23].tolist() == values
    assert actual.sum(dtype=numpy.float64) == total


def test_types_have_the_numbers_and_sizes_that_the_library_knows() -> None:
    for number, kind in TENSOR_TYPES.items():
        known = gguf.GGMLQuantizationType(number)
        assert (known.name, gguf.GGML_QUANT_SIZES[known]) == (kind.name, (kind.block_values, kind.block_bytes))


RARE = ["Q2_K", "Q3_K", "IQ2_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0"]


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K", *RARE])
def test_blocks_of_random_bytes_are_what_the_library_reads(kind: str) -> None:
    raw = random_blocks(random_values(40, 768).numpy(), kind)
    numpy.testing.assert_array_equal(
        dequantize(raw.reshape(-1), TENSOR_TYPES[by_name(kind)]), dequantised(raw, kind).reshape(-1)
    )


@pytest.mark.parametrize("wanted", Format)
@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (48, 96), (37, 320)])
def test_a_packed_matrix_means_what_it_was(wanted: Format, rows: int, columns: int) -> None:
    matrix = quantised(random_values(rows, columns), wanted)
    unpacked = torch.ops.predictd.unpack(packed(matrix), columns)
    assert torch.equal(unpacked[:rows], matrix.values())
    assert unpacked.size(0) == -(-rows // 16) * 16
    assert not unpacked[rows:].any()


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("Q4_0", Format.Q4),
        ("Q4_1", Format.Q4),
        ("Q5_0", Format.Q8),
        ("Q8_0", Format.Q8),
        ("IQ4_NL", Format.Q8),
        ("F16", Format.F16),
    ],
)
def test_these_types_keep_every_bit(tmp_path: Path, kind: str, wanted: Format) -> None:
    source = checkpoint(tmp_path, kind)
    weights = Weights(source, None)
    for names in (["layers.0.q", "layers.0.k", "layers.0.v"], ["layers.2.down"]):
        matrix = weights.joined(*names)
        assert matrix.format == wanted
        expected = torch.cat([source.tensor(name) for name in names])
        assert torch.equal(torch.ops.predictd.unpack(packed(matrix), expected.size(1)), expected)
    table = weights.table("embedding")
    assert torch.equal(table.values(), source.tensor("embedding"))
    assert weights.losses() == []


@pytest.mark.parametrize(
    ("kind", "wanted", "least", "most"),
    [
        ("Q4_K", Format.Q4, 1e-5, 1e-3),
        ("Q5_1", Format.Q8, 1e-3, 1e-2),
        ("Q5_K", Format.Q8, 1e-3, 1e-2),
        ("Q6_K", Format.Q8, 1e-3, 1e-2),
        *((kind, Format.Q8, 1e-5, 1e-2) for kind in RARE if kind != "IQ4_NL"),
        # Only values far below 2^-14 do not have all of their bits in half precision.
        ("BF16", Format.F16, 1e-10, 1e-5),
        ("F32", Format.F16, 1e-5, 1e-3),
    ],
)
def test_other_types_lose_what_is_said(tmp_path: Path, kind: str, wanted: Format, least: float, most: float) -> None:
    source = checkpoint(tmp_path, kind)
    weights = Weights(source, None)
    matrix = weights.joined("layers.1.up")
    error = relative_error(matrix.values(), source.tensor("layers.1.up"))
    assert matrix.format == wanted
    assert least <= error <= most
    (line,) = weights.losses()
    assert line.startswith(f"{kind} stored as {wanted}: ")
    assert line.endswith(" over 1 tensors")
    assert loss(line) == pytest.approx(error, rel=0.01)


def test_parts_of_one_matrix_get_the_larger_format(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, "Q4_1", {"v_proj": "Q6_K", "up_proj": "F16"})
    weights = Weights(source, None)
    qkv = weights.joined("layers.0.q", "layers.0.k", "layers.0.v")
    gate_up = weights.joined("layers.0.gate", "layers.0.up")
    assert (qkv.format, gate_up.format) == (Format.Q8, Format.F16)
    assert weights.joined("layers.0.down").format == Format.Q4
    expected = torch.cat([source.tensor(f"layers.0.{name}") for name in "qkv"])
    assert relative_error(qkv.values(), expected) < 0.01
    # Each row has the scale of its own part.
    assert all(relative_error(qkv.values()[row], expected[row]) < 0.02 for row in range(len(expected)))
    assert [line.split(":")[0] for line in weights.losses()] == [
        "Q4_1 stored as q8",
        "Q4_1 stored as f16",
        "Q6_K stored as q8",
    ]
    assert weights.losses()[0].endswith(" over 2 tensors")


@pytest.mark.parametrize("chosen", Format)
def test_a_chosen_format_is_that_of_all_matrices(tmp_path: Path, chosen: Format) -> None:
    source = read_huggingface(write_safetensors(tmp_path, tiny_model("llama"), torch.bfloat16)).checkpoint
    weights = Weights(source, chosen)
    assert weights.joined("layers.0.q", "layers.0.k", "layers.0.v").format == chosen
    assert weights.table("embedding").format == max(chosen, Format.Q8)
    errors = {line.split(":")[0].removeprefix("BF16 stored as "): loss(line) for line in weights.losses()}
    bounds = {"f16": (1e-10, 1e-5), "q8": (1e-3, 1e-2), "q4": (0.03, 0.1)}
    assert all(bounds[name][0] <= error <= bounds[name][1] for name, error in errors.items())
    assert set(errors) == {Format.F16: {"f16"}, Format.Q8: {"q8"}, Format.Q4: {"q4", "q8"}}[chosen]


@pytest.mark.parametrize(("wanted", "kind", "part"), [(Format.Q4, "Q4_1", 0.96), (Format.Q8, "Q8_0", 1.01)])
def test_quantising_loses_no_more_than_llama_cpp_does(wanted: Format, kind: str, part: float) -> None:
    values = random_values(64, 1024)
    theirs = torch.from_numpy(dequantised(quantised_by_llama_cpp(values.numpy(), kind), kind))
    assert relative_error(quantised(values, wanted).values(), values) < part * relative_error(theirs, values)


@pytest.mark.parametrize("wanted", Format)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_groups_of_equal_values_and_zeros_are_kept(wanted: Format, scale: float) -> None:
    values = torch.zeros(16, 96)
    values[:, 32:64] = scale
    values[:, 64:] = -scale
    actual = quantised(values, wanted).values()
    torch.testing.assert_close(actual, values, atol=0, rtol=1e-3)
    assert not actual[:, :32].any()


@pytest.mark.parametrize("wanted", [Format.Q4, Format.Q8])
def test_a_group_is_not_disturbed_by_its_neighbours(wanted: Format) -> None:
    values = random_values(16, 96)
    values[:, 32:64] *= 1000
    whole = quantised(values, wanted).values()
    alone = torch.cat([quantised(part.contiguous(), wanted).values() for part in values.split(32, 1)], 1)
    assert torch.equal(whole, alone)


def test_many_values_are_quantised_as_few(tmp_path: Path) -> None:
    values = random_values(1024, 1024)
    for wanted in Format:
        assert torch.equal(quantised(values, wanted).values()[700:800], quantised(values[700:800], wanted).values())


@pytest.mark.parametrize("chosen", [None, *Format])
def test_what_does_not_fit_half_precision_is_refused(tmp_path: Path, chosen: Format | None) -> None:
    model = tiny_model("llama")
    model.tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = 1e8
    source = read_huggingface(write_safetensors(tmp_path, model)).checkpoint
    with pytest.raises(ExportError, match=r"layers\.1\.up do not fit half precision"):
        Weights(source, chosen).joined("layers.1.gate", "layers.1.up")


def test_rows_are_put_in_order_and_filled_up() -> None:
    matrix = quantised(random_values(20, 64), Format.Q4)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    assert torch.equal(matrix.rows(order).values(), matrix.values()[order])
    filled = matrix.padded()
    assert isinstance(filled, Matrix)
    assert torch.equal(filled.values(), torch.cat([matrix.values(), torch.zeros(12, 64)]))
