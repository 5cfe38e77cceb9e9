"""Parses a chat template with Jinja and writes its syntax tree as JSON, for an evaluator that cannot parse Jinja.

The document is {"version": 1, "bos_token": TEXT, "eos_token": TEXT, "body": [NODE...]}. A node is an object:
    "type"    the name of its class in jinja2.nodes, one of NODES
    "line"    its line in the template
    and each field of that class under its name there: a node, a list, a string, a number, a boolean or null.
So Const has "value", TemplateData "data", Filter "node", "name", "args" and "kwargs", Compare "expr" and "ops" (a list
of Operand: "op" and "expr"). Jinja parses the template with the options that transformers uses: trim_blocks,
lstrip_blocks, break and continue.

What the evaluator does not support is refused here, by name: see the lists below. Calls on anything but a name count as
method calls. Special tokens other than the two above are set by the first nodes, if the template reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from generator_export.errors import ExportError

VERSION = 1

NODES = frozenset(
    "Output TemplateData Name Const Getattr Getitem Slice If For Assign CondExpr And Or Not Compare Operand Concat Add"
    " Sub Mul Div FloorDiv Mod Pow Neg Pos Filter Test Call Keyword Pair List Tuple Dict NSRef Macro Break Continue"
    " AssignBlock CallBlock FilterBlock With Scope".split()
)


def _with_parameters(lines: str) -> dict[str, tuple[str, ...]]:
    """Parses lines that have names before a colon and, after it, the parameters that each of these names has."""
    parts = (line.split(":") for line in lines.strip().splitlines())
    return {name: tuple(parameters.split()) for names, parameters in parts for name in names.split()}


# Each with the parameters that the evaluator supports, which are not all of those that Jinja or Python has.
FILTERS = _with_parameters("""
    length count upper lower title capitalize first last list items string abs reverse:
    trim: chars
    tojson: ensure_ascii indent separators sort_keys
    default d: default_value boolean
    join: d attribute
    replace: old new count
    int float: default
    round: precision method
    indent: width first blank
    sort: reverse case_sensitive attribute
    dictsort: case_sensitive by reverse
    unique min max: case_sensitive attribute
    sum: attribute start
    select reject selectattr rejectattr:
    map: attribute default
""")
TESTS = _with_parameters("""
    defined undefined none string mapping iterable sequence boolean number integer float callable true false even odd:
    divisibleby: num
    in: seq
    sameas equalto eq == ne != lt lessthan < le <= gt greaterthan > ge >=: other
""")
# The first two accept keyword arguments with any names.
FUNCTIONS = _with_parameters("""
    namespace dict: values
    range: start stop step
    raise_exception: message
    strftime_now: format
""")
_TAKES_ANY_NAMES = ("namespace", "dict")
METHODS = _with_parameters("""
    splitlines upper lower title capitalize items keys values:
    strip lstrip rstrip: chars
    split: sep maxsplit
    startswith endswith removeprefix removesuffix: affix
    find rfind count: sub
    replace: old new count
    join: iterable
    get: key default
    append: object
""")
# Filters that take the name of a test, and its position among their arguments: the arguments after it are for the test.
TEST_ARGUMENTS = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}


# This helps a user who cannot change the template.
_WAY_OUT = "; --chat-template FILE takes another template, --chat-template none exports the model for texts alone"


class Generation(Extension):
    """{% generation %} marks what an assistant said, for training. It does not change the text; but what is set inside
    stays inside, as it does in transformers."""

    tags = {"generation"}  # noqa: RUF012  # As jinja2 declares it.

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def chat_template_json(
    source: Path, template: str, bos_token: str, eos_token: str, more_tokens: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The contents of chat_template.json. `more_tokens` are the tokens that the template may read by their names."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
    try:
        tree = environment.parse(template)
    except TemplateSyntaxError as error:
        where = f"line {error.lineno} of the chat template"
        raise ExportError(f"{source}: {where}: {error.message}{_WAY_OUT}") from None
    except RecursionError:
        raise ExportError(f"{source}: the chat template is nested too deeply{_WAY_OUT}") from None
    macros = {macro.name for macro in tree.find_all(nodes.Macro)} | {"caller"}
    for node in _all(_without_safe(tree).body):
        problem = _problem(node, macros)
        if problem:
            where = f"line {node.lineno} of the chat template"
            raise ExportError(f"{source}: {where}: {problem} is not supported{_WAY_OUT}")
    read = {name.name for name in tree.find_all(nodes.Name)}
    constants = [
        nodes.Assign(nodes.Name(name, "store", lineno=1), nodes.Const(text, lineno=1), lineno=1)
        for name, text in sorted(more_tokens.items())
        if name in read
    ]
    body = [_as_json(node) for node in (*constants, *tree.body)]
    document = {"version": VERSION, "bos_token": bos_token, "eos_token": eos_token, "body": body}
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _without_safe(tree: nodes.Template) -> nodes.Template:
    """Removes `safe` from values that are written out directly: it makes no difference there, because nothing is
    escaped."""
    for output in tree.find_all(nodes.Output):
        for place, part in enumerate(output.nodes):
            if isinstance(part, nodes.Filter) and part.name == "safe" and part.node is not None:
                output.nodes[place] = part.node
    return tree


def _all(tree: list[nodes.Node]) -> Iterator[nodes.Node]:
    for node in tree:
        yield node
        yield from _all(list(node.iter_child_nodes()))


def _problem(node: nodes.Node, macros: set[str]) -> str | None:
    """What the evaluator does not support in this node, not counting the nodes below it."""
    kind = type(node).__name__
    if kind not in NODES:
        return f"Jinja's {kind}"
    if getattr(node, "dyn_args", None) or getattr(node, "dyn_kwargs", None):
        return "an argument list with * or **"
    if isinstance(node, nodes.For) and node.recursive:
        return "a recursive loop"
    if isinstance(node, nodes.Filter | nodes.Test):
        # Jinja declares pairs, and makes what it makes for calls.
        named = cast("list[nodes.Keyword]", node.kwargs)
        if isinstance(node, nodes.Filter):
            return _filter_problem(node.name, node.args, named)
        return _unknown("test", node.name, TESTS, node.args, named)
    if isinstance(node, nodes.Call):
        return _call_problem(node, macros)
    return None


def _filter_problem(name: str, arguments: Sequence[nodes.Expr], named: Sequence[nodes.Keyword]) -> str | None:
    place = TEST_ARGUMENTS.get(name)
    if place is not None:
        if len(arguments) <= place:
            return None
        test, *rest = arguments[place:]
        if not isinstance(test, nodes.Const) or test.value not in TESTS:
            return f"the test in '{name}'"
        return _unknown("test", test.value, TESTS, rest, named)
    if name == "map" and arguments:
        function, *rest = arguments
        if not isinstance(function, nodes.Const) or function.value not in FILTERS:
            return "the filter in 'map'"
        return _filter_problem(function.value, rest, named)
    if name == "sort" and _several_attributes(arguments, named):
        return "the filter 'sort' by several attributes"
    return _unknown("filter", name, FILTERS, arguments, named)


def _several_attributes(arguments: Sequence[nodes.Expr], named: Sequence[nodes.Keyword]) -> bool:
    """Whether a sort is by several attributes: Jinja accepts a list separated by commas, the evaluator only one. An
    attribute that is not a constant may be such a list, too."""
    place = FILTERS["sort"].index("attribute")
    attributes = [*arguments[place:], *(keyword.value for keyword in named if keyword.key == "attribute")]
    return any(not isinstance(each, nodes.Const) or "," in str(each.value) for each in attributes)


def _call_problem(call: nodes.Call, macros: set[str]) -> str | None:
    called = call.node
    if isinstance(called, nodes.Name):
        if called.name in macros:
            return None
        named = () if called.name in _TAKES_ANY_NAMES else call.kwargs
        return _unknown("function", called.name, FUNCTIONS, call.args, named)
    if isinstance(called, nodes.Getattr):
        return _unknown("method", called.attr, METHODS, call.args, call.kwargs)
    return "a call of the result of an expression"


def _unknown(
    kind: str,
    name: str,
    known: Mapping[str, Sequence[str]],
    arguments: Sequence[nodes.Expr],
    named: Sequence[nodes.Keyword],
) -> str | None:
    """What the evaluator does not support in this use of a filter, test, function or method."""
    if name not in known:
        return f"the {kind} '{name}'"
    parameters = known[name]
    if len(arguments) > len(parameters):
        return f"argument {len(parameters) + 1} of the {kind} '{name}'"
    other = next((keyword.key for keyword in named if keyword.key not in parameters), None)
    return f"the argument '{other}' of the {kind} '{name}'" if other is not None else None


def _as_json(value: Any) -> Any:
    if isinstance(value, nodes.Node):
        fields = {field: _as_json(getattr(value, field, None)) for field in value.fields}
        return {"type": type(value).__name__, **fields, "line": value.lineno}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return value
