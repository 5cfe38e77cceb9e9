"""Arguments that an operator cannot take are refused with a message that names them, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from decoder_parts import EPSILON, Layer, Shape, random_matrix

OPS = torch.ops.predictd
LEAST, MOST = -(2**63), 2**63 - 1


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def arguments(name: str) -> dict[str, Any]:
    """What the operator takes."""
    layer = Layer(Shape(bias=True, head_norms=True), "q4", generator())
    cache = layer.make_cache()
    x = torch.randn(4, 64, generator=generator())
    attention = {
        "x": x,
        "norm": layer.norm,
        "epsilon": EPSILON,
        "qkv": layer.qkv.packed,
        "bias": layer.bias,
        "head_norms": layer.head_norms,
        "output": layer.output.packed,
        "turns": layer.turns,
        "positions": torch.arange(2).repeat(2, 1),
        "first_slot": 1,
        "cache": cache,
    }
    feed_forward = {
        "x": x,
        "norm": layer.feed_forward_norm,
        "epsilon": EPSILON,
        "gate_up": layer.gate_up.packed,
        "down": layer.down.packed,
    }
    quants = torch.zeros(16, 64, dtype=torch.uint8)
    groups = torch.zeros(16, 2, dtype=torch.float16)
    matrix = random_matrix("q8", 32, 64, generator())
    all_of_them: dict[str, dict[str, Any]] = {
        "attention_": attention,
        "feed_forward_": feed_forward,
        "layers_": {
            "x": x,
            "epsilon": EPSILON,
            "weights": layer.weights() * 2,
            "biases": [layer.bias] * 2,
            "head_norms": [layer.head_norms] * 2,
            **{key: attention[key] for key in ("turns", "positions", "first_slot")},
            "cache": [cache, layer.make_cache()],
        },
        "linear": {"x": x, "packed": matrix.packed, "norm": layer.norm, "epsilon": EPSILON},
        "embedding": {"tokens": torch.tensor([0, 31]), "packed": matrix.packed, "columns": 64},
        "unpack": {"packed": matrix.packed, "columns": 64},
        "pack_q4": {"quants": quants, "scales": groups, "minima": groups.clone()},
        "pack_q8": {"quants": quants.to(torch.int8), "scales": groups},
        "pack_f16": {"weight": quants.half()},
        "make_cache": {"slots": 2, "kv_heads": 2, "positions": 32, "head_width": 64, "dtype": torch.float16},
        "copy_slot_": {"cache": cache, "source": 0, "destination": 3, "begin": 5, "end": 20},
        "place": {"tensors": [x, matrix.packed]},
    }
    return all_of_them[name]


def call(name: str, given: dict[str, Any]) -> Any:
    return getattr(OPS, name)(*given.values())


OPERATORS = (
    "attention_", "feed_forward_", "layers_", "linear", "embedding", "unpack", "pack_q4", "pack_q8", "pack_f16",
    "make_cache", "copy_slot_", "place",
)  # fmt: skip
# Each makes of a tensor one that the operator cannot take.
SPOILT: dict[str, Callable[[Tensor], Tensor]] = {
    "another dtype": lambda tensor: tensor.to(torch.int16 if tensor.dtype != torch.int16 else torch.int32),
    "double": lambda tensor: tensor.double(),
    "one dimension more": lambda tensor: tensor.unsqueeze(0).unsqueeze(0),
    "no dimension": lambda tensor: tensor.flatten()[0],
    "one more at the end": lambda tensor: torch.cat((tensor, tensor[..., :1]), -1),
    "one less at the end": lambda tensor: tensor[..., :-1].contiguous(),
    "not contiguous": lambda tensor: torch.stack((tensor, tensor), -1)[..., 0],
    "on no device": lambda tensor: tensor.to("meta"),
    "sparse": lambda tensor: tensor.to_sparse(),
}
TENSORS = [
    (name, argument)
    for name, tensors in {
        "attention_": "x norm qkv bias head_norms output turns positions cache",
        "feed_forward_": "x norm gate_up down",
        "layers_": "x turns positions",
        "linear": "x packed norm",
        "embedding": "tokens packed",
        "unpack": "packed",
        "pack_q4": "quants scales minima",
        "pack_q8": "quants scales",
        "pack_f16": "weight",
        "copy_slot_": "cache",
    }.items()
    for argument in tensors.split()
]
# What some may well be.
TAKEN = {
    ("embedding", "tokens", "one more at the end"),
    ("embedding", "tokens", "one less at the end"),
    ("linear", "x", "one dimension more"),
}
WRONG = [(*which, spoil) for which in TENSORS for spoil in SPOILT if (*which, spoil) not in TAKEN]


@pytest.mark.parametrize("name", OPERATORS)
def test_what_these_tests_spoil_is_taken_as_it_is(name: str) -> None:
    call(name, arguments(name))


@pytest.mark.parametrize(("name", "argument", "spoil"), WRONG)
def test_a_wrong_tensor_is_named(name: str, argument: str, spoil: str) -> None:
    given = arguments(name)
    given[argument] = SPOILT[spoil](given[argument])
    written = [key for key in ("x", "cache") if key != argument and isinstance(given.get(key), Tensor)]
    before = {key: given[key].clone() for key in written}
    with pytest.raises(RuntimeError) as error:
        call(name, given)
    message = str(error.value)
    if spoil not in ("sparse", "on no device"):
        # Where x has other columns, what is named may be what must fit them.
        names = ("x", "packed", "norm", "positions") if argument == "x" else (argument,)
        assert any(f"{name}: " in message for name in names), message
    for key, tensor in before.items():
        assert torch.equal(given[key], tensor), key


@pytest.mark.parametrize("bad", [-1, 32, LEAST, MOST])
def test_a_token_out_of_range_is_named(bad: int) -> None:
    given = arguments("embedding")
    given["tokens"] = torch.tensor([0, bad, 3])
    with pytest.raises(RuntimeError, match=f"token {bad} is not one of 32"):
        call("embedding", given)


@pytest.mark.parametrize("name", ["attention_", "layers_"])
@pytest.mark.parametrize("bad", [[-1, 0], [0, 64], [63, MOST], [LEAST, 0], [5, 5], [5, 4]])
def test_positions_out_of_range_or_order_are_refused(name: str, bad: list[int]) -> None:
    given = arguments(name)
    given["positions"] = torch.tensor([[0, 1], bad])
    before = given["x"].clone()
    with pytest.raises(RuntimeError, match="position"):
        call(name, given)
    assert torch.equal(given["x"], before)


@pytest.mark.parametrize("name", ["attention_", "layers_"])
def test_positions_beyond_the_turns_are_refused(name: str) -> None:
    given = arguments(name)
    given["turns"] = given["turns"][:10]
    given["positions"] = torch.tensor([[0, 1], [9, 10]])
    with pytest.raises(RuntimeError, match="position 10 is not one of 10"):
        call(name, given)


@pytest.mark.parametrize("name", ["attention_", "layers_"])
@pytest.mark.parametrize("bad", [-1, 3, 4, LEAST, MOST, MOST - 1])
def test_slots_out_of_range_are_refused(name: str, bad: int) -> None:
    given = arguments(name)
    given["first_slot"] = bad
    with pytest.raises(RuntimeError, match="slots"):
        call(name, given)


@pytest.mark.parametrize("name", ["attention_", "layers_"])
@pytest.mark.parametrize("shape", [(4,), (1, 3), (3, 2), (2, 2, 1), (4, 0), (0, 4)])
def test_positions_that_are_not_those_of_the_rows_are_refused(name: str, shape: tuple[int, ...]) -> None:
    given = arguments(name)
    given["positions"] = torch.zeros(shape, dtype=torch.int64)
    with pytest.raises(RuntimeError, match="positions"):
        call(name, given)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("weights", 5, "weights"),
        ("weights", 11, "weights"),
        ("weights", 0, "weights"),
        ("biases", 1, "biases"),
        ("head_norms", 1, "head_norms"),
        ("cache", 0, "weights"),
        ("cache", 1, "weights"),
    ],
)
def test_lists_of_the_wrong_length_are_refused(argument: str, value: int, message: str) -> None:
    given = arguments("layers_")
    given[argument] = given[argument][:value]
    with pytest.raises(RuntimeError, match=message):
        call("layers_", given)


@pytest.mark.parametrize("index", range(12))
def test_a_wrong_weight_of_any_layer_is_refused(index: int) -> None:
    given = arguments("layers_")
    given["weights"][index] = given["weights"][index][:-1].contiguous()
    before = given["x"].clone()
    # With fewer rows of gate_up it is the next matrix that does not fit.
    with pytest.raises(RuntimeError, match=("norm", "qkv", "output", "norm", "down", "down")[index % 6]):
        call("layers_", given)
    assert torch.equal(given["x"], before)


def test_caches_of_different_kinds_are_refused() -> None:
    given = arguments("layers_")
    for other in (given["cache"][0].half(), given["cache"][0][:3].contiguous()):
        given["cache"][1] = other
        with pytest.raises(RuntimeError, match="cache"):
            call("layers_", given)


@pytest.mark.parametrize(
    "change",
    [
        {"slots": 0}, {"slots": -1}, {"slots": MOST}, {"kv_heads": 0}, {"kv_heads": LEAST}, {"positions": 0},
        {"positions": 24}, {"positions": -16}, {"head_width": 0}, {"head_width": 40}, {"head_width": -32},
        {"dtype": torch.bfloat16}, {"dtype": torch.int8}, {"slots": 2**31, "positions": 2**31},
        {"slots": 2**30, "kv_heads": 2**20},
    ],
    ids=str,
)  # fmt: skip
def test_caches_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError):
        call("make_cache", arguments("make_cache") | change)


@pytest.mark.parametrize(
    "change",
    [
        {"source": -1}, {"source": 4}, {"destination": -1}, {"destination": 4}, {"source": MOST}, {"source": LEAST},
        {"begin": -1}, {"end": 65}, {"begin": 21}, {"end": LEAST}, {"end": MOST}, {"begin": LEAST}, {"begin": MOST},
    ],
    ids=str,
)  # fmt: skip
def test_copies_out_of_range_are_refused(change: dict[str, Any]) -> None:
    given = arguments("copy_slot_") | change
    before = given["cache"].clone()
    with pytest.raises(RuntimeError, match="are not among"):
        call("copy_slot_", given)
    assert torch.equal(given["cache"], before)


def test_copying_nothing_or_onto_itself_changes_nothing() -> None:
    given = arguments("copy_slot_")
    given["cache"].normal_(generator=generator())
    before = given["cache"].clone()
    for change in ({"begin": 20}, {"destination": 0}, {"begin": 64, "end": 64}):
        call("copy_slot_", given | change)
        assert torch.equal(given["cache"], before)


@pytest.mark.parametrize("columns", [0, -32, 33, 16, 96, 32, 128, LEAST, MOST, MOST - 31])
def test_wrong_columns_are_refused(columns: int) -> None:
    packed = arguments("unpack")["packed"]
    with pytest.raises(RuntimeError, match="packed"):
        OPS.unpack(packed, columns)
    with pytest.raises(RuntimeError, match="packed"):
        OPS.embedding(torch.tensor([0]), packed, columns)


@pytest.mark.parametrize("bad", [16, 255])
def test_quants_of_more_than_4_bits_are_refused(bad: int) -> None:
    given = arguments("pack_q4")
    given["quants"][15, 63] = bad
    with pytest.raises(RuntimeError, match="quants: expected 0 to 15"):
        call("pack_q4", given)


def test_no_rows_give_no_rows() -> None:
    for name in ("attention_", "layers_"):
        given = arguments(name)
        given["x"] = torch.zeros(0, 64)
        for shape in ((0, 1), (0, 3), (2, 0)):
            given["positions"] = torch.zeros(shape, dtype=torch.int64)
            given["first_slot"] = 0
            call(name, given)
    given = arguments("feed_forward_")
    given["x"] = torch.zeros(0, 64)
    call("feed_forward_", given)
    given = arguments("linear")
    for lead in ([0], [2, 0]):
        given["x"] = torch.zeros(*lead, 64)
        assert call("linear", given).shape == (*lead, 32)
