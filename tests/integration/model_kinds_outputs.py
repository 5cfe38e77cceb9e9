"""Kinds of models by what their methods return, and by what they do beside it."""

# Without postponed annotations: TorchScript does not read those of named tuples.
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from model_kinds import Kind, Request, rows, spec
from model_kinds_arguments import ALONE, LINE, OTHER, ROW, XS, X, Y

Z = spec("z FP32 -1 4")


class Two(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        return x + 1, x * 2


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
        return self.lstm(x)


class Deep(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tuple[Tensor, List[Tensor]], Dict[str, Tensor]]:
        return (x, [x + 1, x + 2]), {"double": x * 2, "triple": x * 3}


class Listed(nn.Module):
    def forward(self, x: Tensor) -> List[Tensor]:
        return [x + 1, x + 2, x + 3]


class Keyed(nn.Module):
    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        return {"unwanted": x, "z": x * 3, "y": x * 2}


class KeyedLists(nn.Module):
    def forward(self, x: Tensor) -> Dict[str, List[Tensor]]:
        return {"hidden": [x, x + 1, x + 2], "last": [x * 2]}


class IntKeys(nn.Module):
    def forward(self, x: Tensor) -> Dict[int, Tensor]:
        return {7: x + 7, 3: x + 3}


class Result(NamedTuple):
    logits: Tensor
    aux: Optional[Tensor]
    score: Tensor


class Fields(nn.Module):
    def forward(self, x: Tensor) -> Result:
        return Result(x * 2, None, x - 1)


class NoneAmong(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Optional[Tensor], Tensor]:
        return x * 2, None, x * 3


class NoneAtTimes(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        return x, x * 2 if bool(x.sum() > 3) else None


class PairAtTimes(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Optional[Tuple[Tensor, Tensor]], Tensor]:
        pair: Optional[Tuple[Tensor, Tensor]] = None
        if bool(x.sum() > 5):
            pair = (x * 10, x * 20)
        return x, pair, x * 100


class LongerAtTimes(nn.Module):
    def forward(self, x: Tensor) -> Tuple[List[Tensor], Tensor]:
        listed = [x]
        if bool(x.sum() > 5):
            listed.append(x * 10)
        return listed, x * 100


class MaybeThenList(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Optional[Tensor], List[Tensor]]:
        listed = [x]
        if bool(x.sum() > 5):
            listed.append(x * 10)
        return x * 100, listed


class AnyNumbers(nn.Module):
    def forward(self, x: Tensor) -> List[Any]:
        numbers: List[Any] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]
        return numbers


class FloatKeys(nn.Module):
    def forward(self, x: Tensor) -> Dict[float, Tensor]:
        return {0.5: x * 5, 0.25: x * 25, 2.0: x * 2}


class BoolKeys(nn.Module):
    def forward(self, x: Tensor) -> Dict[bool, Tensor]:
        return {True: x + 1, False: x - 1}


class NoneInDict(nn.Module):
    def forward(self, x: Tensor) -> Dict[str, Optional[Tensor]]:
        nothing: Optional[Tensor] = None
        return {"y": x * 2, "z": nothing}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        return self.attention(x, x, x, need_weights=False)


class Numbers(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, int, float, bool, str]:
        return x, x.size(0), float(x.max()) / 3, bool(x.sum() > 0), "rows: " + str(x.size(0))


class NumberLists(nn.Module):
    def forward(self, x: Tensor) -> Tuple[List[int], List[float], List[bool], List[str], List[List[int]]]:
        return list(x.shape), [0.5, 0.25], [True, False], ["a", "", "abc"], [[1, 2, 3], [4, 5, 6]]


class Ragged(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, List[List[int]]]:
        return x, [[1], [2, 3]]


class Words(nn.Module):
    def forward(self, text: List[str]) -> Dict[str, List[str]]:
        none: List[str] = []
        return {"upper": [item.upper() for item in text], "none": none}


class Unspecified(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x * 4, {"z": x}


class Views(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        a, b = (x * 2).chunk(2, dim=1)
        return a.expand(-1, 2), b.transpose(0, 1).transpose(0, 1), x[:, ::2], x


class NegativeView(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.imag(torch.conj(torch.fft.rfft(x)[:, 1:2]))


class NegativeNested(nn.Module):
    def forward(self, x: Tensor) -> Dict[str, List[Tensor]]:
        y = torch.conj(torch.fft.fft(x))
        return {"y": [torch.imag(y), torch.view_as_real(torch.resolve_conj(y))]}


class Forces(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        x = x.detach()
        x.requires_grad_(True)
        e = (x**2).sum(1, keepdim=True)
        g = torch.autograd.grad([e.sum()], [x])[0]
        assert g is not None
        return e, g


class ForcesOfLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def energy(self, x: Tensor) -> Tensor:
        return self.net(x)

    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        x = x.clone().requires_grad_()
        energy = self.energy(x)
        energy.sum().backward()
        gradient = x.grad
        assert gradient is not None
        return {"energy": energy, "forces": -gradient}


class Forked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        future = torch.jit.fork(self.a, x)
        y = self.b(x)
        return torch.jit.wait(future) + y


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.bn = nn.Linear(4, 4), nn.BatchNorm1d(4)
        with torch.no_grad():
            self.bn.running_mean.copy_(torch.arange(4.0))
            self.bn.running_var.fill_(9)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        h = self.fc(x)
        return h, self.bn(h)


class TrainingLayers(nn.Module):
    """Nothing of it trains or draws in eval mode, so nothing may be said of it."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.drop = nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.rnn = nn.GRU(4, 4, num_layers=2, dropout=0.5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.encoder(self.drop(self.bn(x)).unsqueeze(1))
        y = nn.functional.dropout(y, 0.5, self.training)
        return self.rnn(y)[0].squeeze(1)


class Weight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 4))

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        return x @ self.weight.t(), self.weight


# --- What the server cannot send ---


class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x)


class Sparse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to_sparse()


class Quantised(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)


class Meta(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.empty_like(x, device="meta")


class WrongType(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.float64)


class WrongShape(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(dim=1)


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool((x < 0).any()):
            raise ValueError("negative numbers")
        return x


# --- What remembers or draws ---


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 1))

    def forward(self, x: Tensor) -> Tensor:
        self.total.add_(x.sum())
        return self.total


class Assigned(nn.Module):
    last: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(1, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.last = x.clone()
        return self.last


class Appended(nn.Module):
    seen: List[int]

    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(1)
        return x * 0 + len(self.seen)


class InAMethod(nn.Module):
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            for i in range(2):
                view = self.count[i:]
                view += 1
            return x + self.count

    def __init__(self) -> None:
        super().__init__()
        self.inner = InAMethod.Inner()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Counted(nn.Module):
    calls: int

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.calls


class Cached(nn.Module):
    cache: Dict[str, Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.cache = {}

    def forward(self, x: Tensor) -> Tensor:
        y = self.cache["last"] if "last" in self.cache else torch.zeros_like(x)
        self.cache["last"] = x
        return x + y.sum() * 0


class MaybeLast(nn.Module):
    last: Optional[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.last = None

    def remember(self, x: Tensor) -> None:
        self.last = x

    def forward(self, x: Tensor) -> Tensor:
        self.remember(x)
        last = self.last
        return x if last is None else last


class Containers(nn.Module):
    """Keeps tensors in containers; those that inherit change them, and answer so that eager's first answer shows it."""

    tensors: Dict[str, Tensor]
    lists: Dict[str, List[Tensor]]
    numbers: Dict[str, List[int]]
    row: List[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.tensors = {"a": torch.zeros(4)}
        self.lists = {"a": [torch.zeros(4)]}
        self.numbers = {"n": [1]}
        self.row = [torch.zeros(4), torch.zeros(4)]
        self.register_buffer("b", torch.zeros(4))


class InDict(Containers):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.tensors["a"].add_(1.0)


class GotFromDict(Containers):
    def forward(self, x: Tensor) -> Tensor:
        got = self.tensors.get("a")
        return x if got is None else x + got.add_(1.0)


class DictValues(Containers):
    def forward(self, x: Tensor) -> Tensor:
        for value in self.tensors.values():
            value.add_(1.0)
        return x + self.tensors["a"]


class AppendedInDict(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.lists["a"].append(torch.ones(4))
        return x + len(self.lists["a"])


class ReplacedInDict(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.lists["a"][0] = self.lists["a"][0] + 1.0
        return x + self.lists["a"][0]


class NumberInDict(Containers):
    def forward(self, x: Tensor) -> Tensor:
        self.numbers["n"][0] += 1
        return x + self.numbers["n"][0]


class SlicedList(Containers):
    def forward(self, x: Tensor) -> Tensor:
        for value in self.row[::-1]:
            value.add_(1.0)
        return x + self.row[0]


class AddedLists(Containers):
    def forward(self, x: Tensor) -> Tensor:
        (self.row + [x])[1].add_(1.0)
        return x + self.row[1]


class RepeatedList(Containers):
    def forward(self, x: Tensor) -> Tensor:
        (self.row * 2)[3].add_(1.0)
        return x + self.row[1]


class ExtendedList(Containers):
    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        values.extend(self.row)
        values[1].add_(1.0)
        return x + self.row[0]


class TupleInDict(Containers):
    def forward(self, x: Tensor) -> Tensor:
        held = {"k": (self.b, 1)}
        held["k"][0].add_(1.0)
        return x + self.b


class ListsOfItsOwn(Containers):
    def forward(self, x: Tensor) -> Tensor:
        values = self.row + self.row[1:]
        values.append(x)
        values[0] = x
        return torch.stack([value + 0 * x for value in values]).sum(0) + self.tensors["a"]


class DictArgument(nn.Module):
    def forward(self, d: Dict[str, Tensor]) -> Tensor:
        d["x"].add_(1.0)
        return d["x"] * 1


class Doubled(nn.Module):
    last: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(1, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x * 2


def keep_input(self: Doubled, inputs: Tuple[Tensor]) -> Tuple[Tensor]:
    self.last = inputs[0] + 0
    return inputs


def keep_output(self: Doubled, inputs: Tuple[Tensor], output: Tensor) -> Tensor:
    self.last = output + 0
    return self.last


def leave_output(self: Doubled, inputs: Tuple[Tensor], output: Tensor) -> Tensor:
    return output + inputs[0]


def hooked() -> nn.Module:
    module = Doubled()
    module.register_forward_hook(keep_output)
    return module


def hooked_before() -> nn.Module:
    module = Doubled()
    module.register_forward_pre_hook(keep_input)
    return module


def hooked_for_nothing() -> nn.Module:
    module = Doubled()
    module.register_forward_hook(leave_output)
    return module


class HookedInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = hooked()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


@torch.jit.interface
class Part(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class CountingPart(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.count = self.count + 1
        return x + self.count


class ChosenPart(nn.Module):
    def __init__(self, part: Any) -> None:
        super().__init__()
        self.parts = nn.ModuleList([part(), part()])

    def forward(self, x: Tensor, k: int) -> Tensor:
        part: Part = self.parts[k]
        return part.forward(x)


class DoublingPart(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class CountedGradient(nn.Module):
    calls: int

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.full((4,), 3.0))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        (self.w * x).sum().backward()
        gradient = self.w.grad
        if gradient is None:
            return x * 0
        answer = gradient.clone()
        gradient.zero_()
        return answer.unsqueeze(0)


class ForwardTwo(nn.Module):
    @torch.jit.export
    def forward__x(self, x: Tensor) -> Tensor:
        return x * 2

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x - y


class AlwaysDropped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5)


class Sampled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.multinomial(torch.softmax(x, 1), 1)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Centred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


def fields(*names: str) -> Any:
    return lambda returned: [getattr(returned, name) for name in names]


def keys(*names: str) -> Any:
    return lambda returned: [returned[name] for name in names]


def first(count: int) -> Any:
    return lambda returned: returned[:count]


def in_text(module: nn.Module, request: Request) -> Any:
    return module(request["text"])


SEQUENCE = [{"x": torch.linspace(-1, 1, 4 * n).reshape(n, 1, 4)} for n in (1, 3)]
CHOICE = [{"x": torch.linspace(-1, 1, 4).reshape(1, 4), "k": torch.tensor(1)}]
STATE = "answers depend on earlier requests.*"

OUTPUT_KINDS = [
    Kind("two", Two, [X], [Y, Z], XS, exports=True),
    Kind("one_of_two", Two, [X], [Y], XS, select=first(1), exports=True),
    Kind(
        "lstm",
        Lstm,
        [spec("x FP32 -1 1 4")],
        [spec("y FP32 -1 1 3"), spec("h FP32 1 1 3"), spec("c FP32 1 1 3")],
        SEQUENCE,
        ALONE,
        tolerance=1e-6,
    ),
    Kind(
        "lstm_by_path",
        Lstm,
        [spec("x FP32 -1 1 4")],
        [spec("1.1 FP32 1 1 3"), spec("0 FP32 -1 1 3")],
        SEQUENCE,
        ALONE,
        select=lambda r: [r[1][1], r[0]],
        tolerance=1e-6,
    ),
    Kind(
        "lstm_itself",
        lambda: nn.LSTM(4, 3),
        [spec("x FP32 -1 1 4")],
        [spec("y FP32 -1 1 3")],
        SEQUENCE,
        ALONE,
        select=first(1),
        tolerance=1e-6,
    ),
    Kind(
        "gru_itself",
        lambda: nn.GRU(4, 3, batch_first=True),
        [spec("x FP32 -1 2 4")],
        [spec("y FP32 -1 2 3")],
        [{"x": torch.linspace(-1, 1, 8).reshape(1, 2, 4)}],
        select=first(1),
        tolerance=1e-6,
    ),
    Kind(
        "attention_itself",
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        [spec("query FP32 -1 3 4"), spec("key FP32 -1 3 4"), spec("value FP32 -1 3 4")],
        [spec("y FP32 -1 3 4"), spec("weights FP32 -1 3 3")],
        [{name: torch.linspace(-1, 1, 12).reshape(1, 3, 4) for name in ("query", "key", "value")}],
        tolerance=1e-6,
    ),
    Kind(
        "deep",
        Deep,
        [X],
        [spec("triple FP32 -1 4"), spec("a FP32 -1 4"), spec("b FP32 -1 4"), spec("c FP32 -1 4")],
        XS,
        select=lambda r: [r[1]["triple"], r[0][0], r[0][1][0], r[0][1][1]],
    ),
    Kind("listed", Listed, [X], [Y, Z], XS, select=first(2), exports=True),
    Kind("listed_by_path", Listed, [X], [spec("2 FP32 -1 4")], XS, select=lambda r: [r[2]]),
    Kind("keyed", Keyed, [X], [Y, Z], XS, select=keys("y", "z"), exports=True),
    Kind(
        "fails_key_of_a_list",
        KeyedLists,
        [X],
        [spec("last.0 FP32 -1 4"), spec("hidden.2 FP32 -1 4"), spec("last FP32 -1 4")],
        XS,
        select=lambda r: [r["last"][0], r["hidden"][2], None],
        fails="no output last; there are hidden.0, hidden.1, hidden.2, last.0",
    ),
    Kind(
        "keyed_list_members",
        KeyedLists,
        [X],
        [spec("last.0 FP32 -1 4"), spec("hidden.2 FP32 -1 4")],
        XS,
        select=lambda r: [r["last"][0], r["hidden"][2]],
    ),
    Kind("int_keys", IntKeys, [X], [spec("3 FP32 -1 4")], XS, select=lambda r: [r[3]]),
    Kind(
        "fields", Fields, [X], [spec("score FP32 -1 4"), spec("logits FP32 -1 4")], XS, select=fields("score", "logits")
    ),
    Kind("fields_in_order", Fields, [X], [Y, Z], XS, select=fields("logits", "score")),
    Kind("none_among", NoneAmong, [X], [Y, Z], XS, select=lambda r: [r[0], r[2]]),
    Kind("none_first_of_two", NoneAmong, [X], [Y], XS, select=first(1)),
    Kind("none_at_times", NoneAtTimes, [X], [Y, spec("z FP32 -1 4", optional=True)], XS),
    Kind("fails_none_at_times", NoneAtTimes, [X], [Y, Z], XS[:0], fails="output z is None"),
    Kind(
        "after_a_pair_at_times",
        PairAtTimes,
        [X],
        [spec("a FP32 -1 4"), spec("2 FP32 -1 4")],
        XS,
        select=lambda r: [r[0], r[2]],
    ),
    Kind("before_a_pair_at_times", PairAtTimes, [X], [Y], XS, select=first(1)),
    Kind(
        "fails_after_a_pair_at_times", PairAtTimes, [X], [Y, Z], [], fails="z cannot be told by its order.*; .* 0, 1, 2"
    ),
    Kind("after_a_list", LongerAtTimes, [X], [Y, spec("1 FP32 -1 4")], XS, select=lambda r: [r[0][0], r[1]]),
    Kind("fails_after_a_list", LongerAtTimes, [X], [Y, Z], [], fails="cannot be told .* before 1 differs: name it by"),
    Kind("list_behind_a_maybe", MaybeThenList, [X], [Y], XS, select=first(1)),
    Kind("any_numbers", AnyNumbers, [X], [spec("y INT64 -1")], [{"x": LINE}], ALONE),
    Kind(
        "float_keys",
        FloatKeys,
        [X],
        [spec("0.25 FP32 -1 4"), spec("2.0 FP32 -1 4")],
        XS,
        select=lambda r: [r[0.25], r[2.0]],
    ),
    Kind(
        "bool_keys",
        BoolKeys,
        [X],
        [spec("False FP32 -1 4"), spec("True FP32 -1 4")],
        XS,
        select=lambda r: [r[False], r[True]],
    ),
    Kind("none_in_dict", NoneInDict, [X], [Y, spec("z FP32 -1 4", optional=True)], XS, select=keys("y", "z")),
    Kind(
        "attention",
        Attention,
        [spec("x FP32 -1 3 4")],
        [spec("y FP32 -1 3 4")],
        [{"x": torch.linspace(-2, 2, 12).reshape(1, 3, 4)}],
        select=first(1),
        tolerance=1e-6,
    ),
    Kind(
        "numbers",
        Numbers,
        [X],
        [Y, spec("n INT64"), spec("f FP64"), spec("b BOOL"), spec("s BYTES 1")],
        [{"x": LINE}, {"x": -LINE}],
        ALONE,
        select=list,
    ),
    Kind(
        "numbers_of_other_types",
        Numbers,
        [X],
        [Y, spec("n FP32 1 1"), spec("f FP32 1")],
        [{"x": LINE}],
        ALONE,
        select=first(3),
    ),
    Kind(
        "number_lists",
        NumberLists,
        [X],
        [spec("i INT32 -1"), spec("f FP32 2"), spec("b BOOL 2"), spec("s BYTES 3"), spec("n INT64 2 -1")],
        [{"x": LINE}],
        ALONE,
        select=list,
    ),
    Kind(
        "strings_by_key",
        Words,
        [spec("text BYTES -1")],
        [spec("none BYTES -1"), spec("upper BYTES -1")],
        [{"text": ["one", "two"]}, {"text": ["x"]}],
        ALONE,
        call=in_text,
        select=keys("none", "upper"),
    ),
    Kind("unspecified", Unspecified, [X], [Y, Z], XS, select=lambda r: [r[0], r[1]["z"]]),
    Kind(
        "views",
        Views,
        [X],
        [spec("a FP32 -1 2"), spec("b FP32 -1 2"), spec("c FP32 -1 2"), spec("x2 FP32 -1 4")],
        XS,
        exports=True,
    ),
    Kind("negative_view", NegativeView, [X], [spec("y FP32 -1 1")], XS, tolerance=1e-6),
    Kind(
        "negative_nested",
        NegativeNested,
        [X],
        [spec("y.0 FP32 -1 4"), spec("y.1 FP32 -1 4 2")],
        XS,
        select=lambda r: r["y"],
        tolerance=1e-6,
    ),
    Kind("forces", Forces, [X], [spec("e FP32 -1 1"), spec("g FP32 -1 4")], XS),
    Kind(
        "forces_of_layers",
        ForcesOfLayers,
        [X],
        [spec("forces FP32 -1 4"), spec("energy FP32 -1 1")],
        XS,
        select=keys("forces", "energy"),
        tolerance=1e-5,
    ),
    Kind("forces_asked_for", Forces, [X], [spec("e FP32 -1 1")], XS, {"inference_mode": False}, select=first(1)),
    Kind("fails_forces", Forces, [X], [spec("e FP32 -1 1")], XS, {"inference_mode": True}, fails="requires?[ _]grad"),
    Kind("without_inference_mode", Two, [X], [Y, Z], XS, {"inference_mode": False}),
    Kind("forked", Forked, [X], [Y], XS, tolerance=1e-6),
    Kind("two_heads", TwoHeads, [X], [spec("h FP32 -1 4"), spec("n FP32 -1 4")], XS, tolerance=1e-6, exports=True),
    Kind("training_layers", TrainingLayers, [X], [Y], XS, tolerance=1e-5),
    Kind("weight", Weight, [X], [spec("y FP32 -1 3"), spec("w FP32 3 4")], [{"x": LINE}], ALONE, tolerance=1e-6),
    # --- What cannot be sent ---
    Kind("fails_complex", Complex, [X], [Y], XS, fails="output y is a tensor of complex numbers .*view_as_real"),
    Kind("fails_sparse", Sparse, [X], [Y], XS, fails="output y is a tensor of layout Sparse.*to_dense"),
    Kind("fails_quantised", Quantised, [X], [Y], XS, fails="output y is a quantised tensor .*dequantize"),
    Kind("fails_meta", Meta, [X], [Y], XS, fails="output y is a tensor on the device meta"),
    Kind("fails_type", WrongType, [X], [Y], XS, fails=r"output y is FP64\[1,4\], its signature says FP32"),
    Kind("fails_shape", WrongShape, [X], [Y], XS, fails=r"output y is FP32\[1\], its signature says FP32"),
    Kind(
        "fails_ragged", Ragged, [X], [Y, spec("n INT64 2 -1")], XS, ALONE, fails="output n is a list of lists of diff"
    ),
    Kind("fails_number_type", Numbers, [X], [Y, spec("n BOOL")], XS, ALONE, fails="output n is Int of 1, not BOOL"),
    Kind("fails_too_few_outputs", Two, [X], [Y, Z, X], XS, fails="the model returns 2 outputs, model.toml has 3"),
    Kind("fails_unknown_key", Keyed, [X], [spec("w FP32 -1 4")], XS, fails="no output w; there are unwanted, z, y"),
    Kind("raises", Raises, [X], [Y], rows(OTHER), error="negative numbers"),
    # --- What remembers or draws. Eager begins anew for each request, the server's totals go on. ---
    Kind(
        "state_total",
        Counter,
        [spec("x FP32 -1 1")],
        [spec("y FP32 -1 1")],
        rows([1.0]),
        {"max_batch_size": 1},
        warns=STATE + "self.total in place",
    ),
    Kind("state_assigned", Assigned, [X], [Y], XS, warns=STATE + "it assigns self.last"),
    Kind(
        "state_list",
        Appended,
        [X],
        [Y],
        XS[:1],
        {"response_cache_bytes": 100_000},
        warns=STATE + "self.seen in place.*response_cache_bytes is not used",
    ),
    Kind("state_in_a_view", InAMethod, [X], [Y], XS[:1], warns=STATE + "self.inner.count in place"),
    Kind("state_counter", Counted, [X], [Y], XS[:1], warns=STATE + "it assigns self.calls"),
    Kind("state_dict", Cached, [X], [Y], XS, {"max_batch_size": 1}, warns=STATE + "self.cache in place"),
    Kind("state_optional", MaybeLast, [X], [Y], XS, warns=STATE + "it assigns self.last"),
    Kind("state_in_a_dict", InDict, [X], [Y], XS[:1], warns=STATE + "self.tensors in place"),
    Kind("state_got_from_a_dict", GotFromDict, [X], [Y], XS[:1], warns=STATE + "self.tensors in place"),
    Kind("state_dict_values", DictValues, [X], [Y], XS[:1], warns=STATE + "self.tensors in place"),
    Kind("state_appended_in_a_dict", AppendedInDict, [X], [Y], XS[:1], warns=STATE + "self.lists in place"),
    Kind("state_replaced_in_a_dict", ReplacedInDict, [X], [Y], XS[:1], warns=STATE + "self.lists in place"),
    Kind("state_number_in_a_dict", NumberInDict, [X], [Y], XS[:1], warns=STATE + "self.numbers in place"),
    Kind("state_sliced_list", SlicedList, [X], [Y], XS[:1], warns=STATE + "self.row in place"),
    Kind("state_added_lists", AddedLists, [X], [Y], XS[:1], warns=STATE + "self.row in place"),
    Kind("state_repeated_list", RepeatedList, [X], [Y], XS[:1], warns=STATE + "self.row in place"),
    Kind("state_extended_list", ExtendedList, [X], [Y], XS[:1], warns=STATE + "in place"),
    Kind("state_tuple_in_a_dict", TupleInDict, [X], [Y], XS[:1], warns=STATE + "in place"),
    Kind("state_hook", hooked, [X], [Y], XS, warns=STATE + "it assigns self.last"),
    Kind("state_hook_before", hooked_before, [X], [Y], XS, warns=STATE + "it assigns self.last"),
    Kind("state_hook_inside", HookedInside, [X], [Y], XS, warns=STATE + "it assigns self.inner.last"),
    Kind(
        "state_chosen_part",
        lambda: ChosenPart(CountingPart),
        [X, spec("k INT64")],
        [Y],
        CHOICE,
        ALONE,
        warns=STATE + "it assigns .*count",
    ),
    Kind("state_gradient", CountedGradient, [X], [Y], XS, {"max_batch_size": 1}, warns=STATE + "it assigns self.calls"),
    # --- What looks like it, and is none ---
    Kind("lists_of_its_own", ListsOfItsOwn, [X], [Y], XS),
    Kind(
        "dict_argument_written",
        DictArgument,
        [X],
        [Y],
        XS,
        call=lambda module, request: module(dict(request)),
        settings={"response_cache_bytes": 100_000},
    ),
    Kind("hook_without_state", hooked_for_nothing, [X], [Y], XS),
    Kind("chosen_part", lambda: ChosenPart(DoublingPart), [X, spec("k INT64")], [Y], CHOICE, ALONE),
    Kind("fails_method_like_an_overload", ForwardTwo, [X], [Y], XS, fails="argument y .Tensor. has no input"),
    Kind("always_dropped", AlwaysDropped, [X], [Y], [], warns="answers are random: it calls aten::dropout"),
    Kind("sampled", Sampled, [X], [spec("y INT64 -1 1")], [], warns="answers are random: it calls aten::multinomial"),
    Kind(
        "noise",
        Noise,
        [X],
        [Y],
        [],
        {"response_cache_bytes": 100_000},
        warns="answers are random.*randn_like.*response_cache_bytes is not used",
    ),
    Kind("centred", Centred, [X], [Y], rows(ROW), warns="rows are not independent"),
]
