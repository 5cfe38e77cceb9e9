"""Kinds of models by what their methods take: defaults, numbers, strings, lists, dicts, tuples, and other methods."""

# Without postponed annotations: TorchScript does not read those of named tuples.
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from model_kinds import Kind, Request, rows, spec

X = spec("x FP32 -1 4")
Y = spec("y FP32 -1 4")
ROW = [1.0, 2.0, 3.0, 4.0]
OTHER = [0.5, -1.0, 8.0, -3.0]
ALONE = {"batched": False}


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x))


class Masked(nn.Module):
    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        return x if mask is None else x * mask


class MaskedWithoutDefault(nn.Module):
    def forward(self, x: Tensor, mask: Optional[Tensor]) -> Tensor:
        return x if mask is None else x * mask


class Scaled(nn.Module):
    def forward(self, x: Tensor, temperature: float = 2.0, shift: int = 1, negate: bool = False) -> Tensor:
        y = x / temperature + shift
        return -y if negate else y


class Times(nn.Module):
    def forward(self, x: Tensor, k: int) -> Tensor:
        return x * k


class MaybeTimes(nn.Module):
    def forward(self, x: Tensor, k: Optional[int] = None, s: Optional[float] = None) -> Tensor:
        if k is not None:
            x = x * k
        if s is not None:
            x = x * s
        return x


class Floats(nn.Module):
    def forward(self, x: Tensor, s: float) -> Tensor:
        return x * s


class Flag(nn.Module):
    def forward(self, x: Tensor, up: bool) -> Tensor:
        return x + 1 if up else x - 1


class Mode(nn.Module):
    def forward(self, x: Tensor, mode: str) -> Tensor:
        if mode == "double":
            return x * 2
        if mode == "negate":
            return -x
        return x


class MaybeText(nn.Module):
    def forward(self, x: Tensor, mode: Optional[str] = None, suffix: str = "!") -> Tensor:
        return x if mode is None else x * len(mode + suffix)


class Lengths(nn.Module):
    def forward(self, text: List[str]) -> Tensor:
        return torch.tensor([[len(item)] for item in text], dtype=torch.int64)


class Sum(nn.Module):
    def forward(self, xs: List[Tensor]) -> Tensor:
        total = torch.zeros_like(xs[0])
        for i, x in enumerate(xs):
            total = total + x * (i + 1)
        return total


class SumAlong(nn.Module):
    def forward(self, xs: List[Tensor], scale: float = 3.0) -> Tensor:
        return (xs[0] - xs[1]) * scale


class FirstAndRest(nn.Module):
    def forward(self, first: Tensor, rest: List[Tensor], last: Tensor) -> Tensor:
        for i, x in enumerate(rest):
            first = first * (i + 2) + x
        return first - last


class Named(nn.Module):
    def forward(self, d: Dict[str, Tensor]) -> Tensor:
        y = d["a"] - d["b"]
        return y * d["extra"] if "extra" in d else y


class NamedNumbers(nn.Module):
    def forward(self, x: Tensor, options: Dict[str, float]) -> Tensor:
        return x * options["scale"] + options["shift"]


class TwoDicts(nn.Module):
    def forward(self, a: Dict[str, Tensor], b: Dict[str, List[Tensor]]) -> Tensor:
        return a["x"] * 2 - b["h"][0] + b["h"][1] * 3


class NumberedDict(nn.Module):
    def forward(self, d: Dict[int, Tensor]) -> Tensor:
        return d[1] - d[2]


class Pair(nn.Module):
    def forward(self, pair: Tuple[Tensor, Tensor], z: Tensor) -> Tensor:
        return pair[0] * 2 - pair[1] + z * 5


class Nested(nn.Module):
    def forward(self, x: Tensor, state: Optional[Tuple[Tensor, Tuple[Tensor, Tensor]]] = None) -> Tensor:
        if state is None:
            return x
        a, (b, c) = state
        return x + a * 2 + b * 3 + c * 4


class Features(NamedTuple):
    value: Tensor
    weight: Tensor


class TakesFields(nn.Module):
    def forward(self, features: Features, bias: Tensor) -> Tensor:
        return features.value * features.weight - bias


class Swapped(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first - 2 * second


class Indices(nn.Module):
    def forward(self, x: Tensor, columns: List[int]) -> Tensor:
        return x[:, columns]


class Weights(nn.Module):
    def forward(self, x: Tensor, weights: List[float], flags: List[bool]) -> Tensor:
        total = 0.0
        for weight, flag in zip(weights, flags):
            if flag:
                total += weight
        return x * total


class Grid(nn.Module):
    def forward(self, grid: List[List[int]], words: List[List[str]]) -> Tensor:
        return torch.tensor(grid) + torch.tensor([[len(word) for word in line] for line in words])


class Whatever(nn.Module):
    def forward(self, x: Any) -> Tensor:
        assert isinstance(x, Tensor)
        return x * 2


class Either(nn.Module):
    def forward(self, x: Union[Tensor, List[Tensor]]) -> Tensor:
        return x * 3 if isinstance(x, Tensor) else x[0]


class NumberOfEither(nn.Module):
    def forward(self, x: Tensor, k: Union[int, float]) -> Tensor:
        return x + 1 if isinstance(k, int) else x * 100


class MaybeNumberOfEither(nn.Module):
    def forward(self, x: Tensor, k: Optional[Union[int, float]] = None) -> Tensor:
        if k is None:
            return x
        return x + 1 if isinstance(k, int) else x * 100


class ListOfEither(nn.Module):
    def forward(self, x: Tensor, k: Union[List[Tensor], List[int]]) -> Tensor:
        return x + k[0] if isinstance(k, List[int]) else x * 100


class DictOfLists(nn.Module):
    def forward(self, x: Tensor, d: Dict[str, List[Tensor]]) -> Tensor:
        return x + len(d["a"])


class DictOfMaybes(nn.Module):
    def forward(self, x: Tensor, d: Dict[str, List[Optional[Tensor]]]) -> Tensor:
        second = d["a"][1]
        return x + len(d["a"]) if second is None else x * second


class FloatKeys(nn.Module):
    def forward(self, x: Tensor, d: Dict[float, Tensor]) -> Tensor:
        return x + d[0.5]


class Nothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.arange(4.0))

    def forward(self) -> Tensor:
        return self.table * 2


class Methods(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)

    @torch.jit.export
    def encode(self, x: Tensor, power: int = 2) -> Tensor:
        return self.layer(x) ** power


class NoForward(nn.Module):
    @torch.jit.export
    def embed(self, x: Tensor) -> Tensor:
        return x * 7

    @torch.jit.export
    def decode(self, x: Tensor) -> Tensor:
        return x / 7


class DefaultList(nn.Module):
    def forward(self, x: Tensor, factors: Optional[List[float]] = None) -> Tensor:
        if factors is None:
            factors = [1.0]
        factors.append(2.0)
        for factor in factors:
            x = x * factor
        return x


class WritesInput(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        x.add_(1)
        y = x * 2
        x.relu_()
        return x, y


def by_name(module: nn.Module, request: Request) -> Any:
    return module(**request)


def call_encode(module: nn.Module, request: Request) -> Any:
    return module.encode(request["x"])


def call_embed(module: nn.Module, request: Request) -> Any:
    return module.embed(request["x"])


def two(a: str = "a", b: str = "b") -> list[Request]:
    return [{a: torch.tensor([first]), b: torch.tensor([second])} for first, second in ((ROW, OTHER), (OTHER, ROW))]


def tensors(*names: str) -> Request:
    return {name: torch.tensor([ROW]) * (i + 1) + i for i, name in enumerate(names)}


def scalar(value: float, dtype: torch.dtype) -> Tensor:
    return torch.tensor(value, dtype=dtype)


XS = rows(ROW, OTHER)
LINE = torch.tensor([ROW, OTHER])
A, B = spec("a FP32 -1 4"), spec("b FP32 -1 4")
K, S = spec("k INT64"), spec("s FP32")

ARGUMENT_KINDS = [
    Kind("plain", Plain, [X], [Y], XS, tolerance=1e-6, exports=True),
    Kind("masked_without", Masked, [X], [Y], XS, exports=True),
    Kind("masked_with", Masked, [X, spec("mask FP32 -1 4")], [Y], [tensors("x", "mask")], exports=True),
    Kind(
        "masked_optional",
        Masked,
        [X, spec("mask FP32 -1 4", optional=True)],
        [Y],
        [tensors("x", "mask"), *XS, tensors("x", "mask")],
        call=by_name,
    ),
    Kind("none_without_default", MaskedWithoutDefault, [X], [Y], XS, call=lambda m, r: m(r["x"], None)),
    Kind("defaults", Scaled, [X], [Y], XS, exports=True),
    Kind(
        "some_defaults",
        Scaled,
        [X, spec("negate BOOL", optional=True), spec("temperature FP32 1", optional=True)],
        [Y],
        [
            {"x": LINE},
            {"x": LINE, "negate": scalar(True, torch.bool)},
            {"x": LINE, "temperature": torch.tensor([8.0])},
        ],
        settings=ALONE,
        call=lambda m, r: m(**{name: value if name == "x" else value.item() for name, value in r.items()}),
    ),
    Kind(
        "int",
        Times,
        [X, K],
        [Y],
        [{"x": LINE, "k": scalar(k, torch.int64)} for k in (3, -4)],
        settings=ALONE,
        call=lambda m, r: m(r["x"], int(r["k"])),
    ),
    Kind(
        "int32_as_int",
        Times,
        [X, spec("k INT32 1 1")],
        [Y],
        [{"x": LINE, "k": torch.tensor([[5]], dtype=torch.int32)}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], int(r["k"])),
    ),
    Kind(
        "optional_numbers",
        MaybeTimes,
        [X, spec("k INT64", optional=True), spec("s FP64", optional=True)],
        [Y],
        [
            {"x": LINE},
            {"x": LINE, "k": scalar(3, torch.int64)},
            {"x": LINE, "k": scalar(3, torch.int64), "s": scalar(0.25, torch.float64)},
        ],
        settings=ALONE,
        call=lambda m, r: m(**{name: value if name == "x" else value.item() for name, value in r.items()}),
    ),
    Kind(
        "float",
        Floats,
        [X, S],
        [Y],
        [{"x": LINE, "s": scalar(s, torch.float32)} for s in (0.5, -2.0)],
        settings=ALONE,
        call=lambda m, r: m(r["x"], float(r["s"])),
    ),
    Kind(
        "int_as_float",
        Floats,
        [X, spec("s INT64")],
        [Y],
        [{"x": LINE, "s": scalar(3, torch.int64)}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], float(r["s"])),
    ),
    Kind(
        "bool",
        Flag,
        [X, spec("up BOOL")],
        [Y],
        [{"x": LINE, "up": scalar(up, torch.bool)} for up in (True, False)],
        settings=ALONE,
        call=lambda m, r: m(r["x"], bool(r["up"])),
    ),
    Kind(
        "string",
        Mode,
        [X, spec("mode BYTES 1")],
        [Y],
        [{"x": LINE, "mode": [mode]} for mode in ("double", "negate", "")],
        settings=ALONE,
        call=lambda m, r: m(r["x"], r["mode"][0]),
    ),
    Kind(
        "optional_string",
        MaybeText,
        [X, spec("mode BYTES 1", optional=True)],
        [Y],
        [{"x": LINE, "mode": ["abc"]}, {"x": LINE}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], r["mode"][0]) if "mode" in r else m(r["x"]),
    ),
    Kind("strings", Lengths, [spec("text BYTES -1")], [spec("n INT64 -1 1")], [{"text": ["one"]}, {"text": [""]}]),
    Kind("list", Sum, [A, B], [Y], two(), call=lambda m, r: m(list(r.values())), exports=True),
    Kind("list_of_one", Sum, [spec("xs FP32 -1 4")], [Y], rows(ROW, name="xs"), call=lambda m, r: m([r["xs"]])),
    Kind(
        "list_by_path",
        Sum,
        [spec("xs.1 FP32 -1 4"), spec("xs.0 FP32 -1 4")],
        [Y],
        [tensors("xs.1", "xs.0")],
        call=lambda m, r: m([r["xs.0"], r["xs.1"]]),
    ),
    Kind("list_and_default", SumAlong, [A, B], [Y], two(), call=lambda m, r: m(list(r.values()))),
    Kind(
        "list_between",
        FirstAndRest,
        [A, B, spec("c FP32 -1 4"), spec("d FP32 -1 4")],
        [Y],
        [tensors("a", "b", "c", "d")],
        call=lambda m, r: m(r["a"], [r["b"], r["c"]], r["d"]),
    ),
    Kind("dict", Named, [A, B], [Y], two(), call=lambda m, r: m(dict(r)), exports=True),
    Kind(
        "dict_optional_key",
        Named,
        [A, B, spec("extra FP32 -1 4", optional=True)],
        [Y],
        [*two(), tensors("a", "b", "extra")],
        call=lambda m, r: m(dict(r)),
    ),
    Kind(
        "dict_of_numbers",
        NamedNumbers,
        [X, spec("shift FP64"), spec("scale FP32")],
        [Y],
        [{"x": LINE, "shift": scalar(0.5, torch.float64), "scale": scalar(4, torch.float32)}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], {"scale": float(r["scale"]), "shift": float(r["shift"])}),
    ),
    Kind(
        "dicts_by_path",
        TwoDicts,
        [spec("a.x FP32 -1 4"), spec("b.h.0 FP32 -1 4"), spec("b.h.1 FP32 -1 4")],
        [Y],
        [tensors("a.x", "b.h.0", "b.h.1")],
        call=lambda m, r: m({"x": r["a.x"]}, {"h": [r["b.h.0"], r["b.h.1"]]}),
    ),
    Kind(
        "dict_of_int_keys",
        NumberedDict,
        [spec("d.2 FP32 -1 4"), spec("d.1 FP32 -1 4")],
        [Y],
        [tensors("d.2", "d.1")],
        call=lambda m, r: m({1: r["d.1"], 2: r["d.2"]}),
    ),
    Kind(
        "tuple",
        Pair,
        [A, B, spec("c FP32 -1 4")],
        [Y],
        [tensors("a", "b", "c")],
        call=lambda m, r: m((r["a"], r["b"]), r["c"]),
        exports=True,
    ),
    Kind(
        "tuple_by_path",
        Pair,
        [spec("z FP32 -1 4"), spec("pair.1 FP32 -1 4"), spec("pair.0 FP32 -1 4")],
        [Y],
        [tensors("z", "pair.1", "pair.0")],
        call=lambda m, r: m((r["pair.0"], r["pair.1"]), r["z"]),
    ),
    Kind("nested_tuple_default", Nested, [X], [Y], XS),
    Kind(
        "nested_tuple",
        Nested,
        [X, A, B, spec("c FP32 -1 4")],
        [Y],
        [tensors("x", "a", "b", "c")],
        call=lambda m, r: m(r["x"], (r["a"], (r["b"], r["c"]))),
    ),
    Kind(
        "named_tuple",
        TakesFields,
        [spec("bias FP32 -1 4"), spec("weight FP32 -1 4"), spec("value FP32 -1 4")],
        [Y],
        [tensors("bias", "weight", "value")],
        call=lambda m, r: m(Features(r["value"], r["weight"]), r["bias"]),
    ),
    Kind(
        "named_in_another_order",
        Swapped,
        [spec("second FP32 -1 4"), spec("first FP32 -1 4")],
        [Y],
        two("second", "first"),
        call=by_name,
    ),
    Kind("other_names", Swapped, [A, B], [Y], two(), exports=True),
    Kind(
        "int_list",
        Indices,
        [X, spec("columns INT32 -1")],
        [spec("y FP32 -1 -1")],
        [{"x": LINE, "columns": torch.tensor(columns, dtype=torch.int32)} for columns in ([3, 0], [1])],
        settings=ALONE,
        call=lambda m, r: m(r["x"], r["columns"].tolist()),
    ),
    Kind(
        "float_and_bool_lists",
        Weights,
        [X, spec("weights FP32 3"), spec("flags BOOL 3")],
        [Y],
        [{"x": LINE, "weights": torch.tensor([1.0, 2.0, 4.0]), "flags": torch.tensor([True, False, True])}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], r["weights"].tolist(), r["flags"].tolist()),
    ),
    Kind(
        "nested_lists",
        Grid,
        [spec("grid INT64 2 2"), spec("words BYTES 2 2")],
        [spec("y INT64 2 2")],
        [{"grid": torch.tensor([[1, 2], [3, 4]]), "words": ["a", "bc", "", "defg"]}],
        settings=ALONE,
        call=lambda m, r: m(r["grid"].tolist(), [r["words"][:2], r["words"][2:]]),
    ),
    Kind("any", Whatever, [X], [Y], XS),
    Kind("union", Either, [X], [Y], XS),
    Kind(
        "int_of_int_or_float",
        NumberOfEither,
        [X, spec("k INT64")],
        [Y],
        [{"x": LINE, "k": scalar(3, torch.int64)}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], int(r["k"])),
    ),
    Kind(
        "float_of_int_or_float",
        NumberOfEither,
        [X, spec("k FP32")],
        [Y],
        [{"x": LINE, "k": scalar(3, torch.float32)}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], float(r["k"])),
    ),
    Kind(
        "int_of_optional_int_or_float",
        MaybeNumberOfEither,
        [X, spec("k INT64", optional=True)],
        [Y],
        [{"x": LINE}, {"x": LINE, "k": scalar(3, torch.int64)}],
        settings=ALONE,
        call=lambda m, r: m(r["x"], int(r["k"]) if "k" in r else None),
    ),
    Kind(
        "ints_of_lists",
        ListOfEither,
        [X, spec("k INT64 -1")],
        [Y],
        [{"x": LINE, "k": torch.tensor([3, 4])}],
        settings=ALONE,
        # Eager asks no class of a list with a type in it.
        call=lambda m, r: r["x"] + int(r["k"][0]),
    ),
    Kind(
        "lists_in_a_dict",
        DictOfMaybes,
        [X, spec("d.a.0 FP32 -1 4"), spec("d.a.1 FP32 -1 4", optional=True)],
        [Y],
        [tensors("x", "d.a.0"), tensors("x", "d.a.0", "d.a.1")],
        call=lambda m, r: m(r["x"], {"a": [r["d.a.0"], r.get("d.a.1")]}),
    ),
    Kind(
        "dict_of_float_keys",
        FloatKeys,
        [X, spec("d.0.5 FP32 -1 4")],
        [Y],
        [tensors("x", "d.0.5")],
        call=lambda m, r: m(r["x"], {0.5: r["d.0.5"]}),
    ),
    Kind("no_arguments", Nothing, [], [spec("y FP32 4")], [{}], settings=ALONE),
    Kind("method", Methods, [X], [Y], XS, settings={"method": "encode"}, call=call_encode, tolerance=1e-6),
    Kind("no_forward", NoForward, [X], [Y], XS, settings={"method": "embed"}, call=call_embed),
    Kind("list_is_changed", DefaultList, [X], [Y], XS),
    Kind("writes_its_input", WritesInput, [X], [spec("x2 FP32 -1 4"), Y], XS),
    # --- What does not fit ---
    Kind("fails_no_method", Plain, [X], [Y], [], {"method": "encode"}, fails="no method encode; there are forward"),
    Kind("fails_no_forward", NoForward, [X], [Y], [], fails="no method forward; there are .*embed"),
    Kind("fails_too_many", Plain, [A, B], [Y], [], fails=r"takes 1 arguments \(x: Tensor\), model.toml has 2 inputs"),
    Kind("fails_too_few", Swapped, [A], [Y], [], fails=r"takes 2 arguments \(first: .*has 1 inputs"),
    Kind(
        "fails_half_named",
        Swapped,
        [spec("second FP32 -1 4"), B],
        [Y],
        [],
        fails="second is in the place of forward's argument first",
    ),
    Kind("fails_not_optional", Swapped, [A, spec("b FP32 -1 4", optional=True)], [Y], [], fails="cannot be optional"),
    Kind(
        "fails_optional_in_a_list_of_a_dict",
        DictOfLists,
        [X, spec("d.a.0 FP32 -1 4"), spec("d.a.1 FP32 -1 4", optional=True)],
        [Y],
        [],
        fails=r"d\.a\.1.* cannot be optional",
    ),
    Kind("fails_key_of_another_type", FloatKeys, [X, spec("d.half FP32 -1 4")], [Y], [], fails="has no key 'half'"),
    Kind("fails_number_in_batch", Times, [X, spec("k INT64 -1")], [Y], [], fails="k.* takes one element.*batched"),
    Kind("fails_wrong_number", Times, [X, spec("k FP32")], [Y], [], ALONE, fails="takes INT8 to INT64 .*not FP32"),
    Kind("fails_text_for_tensor", Plain, [spec("x BYTES -1")], [Y], [], fails="cannot hold BYTES"),
    Kind("fails_rank_of_list", Indices, [X, spec("columns INT64 2 2")], [Y], [], ALONE, fails="1 dimensions, not"),
    Kind(
        "fails_two_containers",
        TwoDicts,
        [A, B],
        [Y],
        [],
        fails=r"can only be told by names: a\.KEY, b\.KEY",
    ),
]
