"""Parses a chat template with Jinja and writes its syntax tree as JSON, for an evaluator that knows no Jinja.

The document is {"version": 1, "bos_token": TEXT, "eos_token": TEXT, "body": [NODE...]}. A node is an object:
    "type"    the name of its class in jinja2.nodes, one of NODES
    "line"    where it is in the template
    and each field of that class under the name that it has there: a node, a list, a string, a number, a truth value or
    null.
So Const has "value", TemplateData "data", Filter "node", "name", "args" and "kwargs", Compare "expr" and "ops" (a list
of Operand: "op" and "expr"). Jinja reads the template as transformers has it read: with trim_blocks, lstrip_blocks,
break and continue.

What the evaluator does not have is refused here, by name: see the lists below. A method is what is called on anything
but a name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from generator_export.errors import ExportError

VERSION = 1

NODES = frozenset(
    "Output TemplateData Name Const Getattr Getitem Slice If For Assign CondExpr And Or Not Compare Operand Concat Add"
    " Sub Mul Div FloorDiv Mod Neg Filter Test Call Keyword Pair List Tuple Dict NSRef Macro Break Continue".split()
)
FILTERS = frozenset(
    "trim length tojson upper lower title default first last join list items replace capitalize string int selectattr"
    " rejectattr map".split()
)
TESTS = frozenset(
    "defined undefined none string mapping iterable sequence boolean number true false equalto eq in".split()
)
# strftime_now is an error when it is reached: a template's answer must not depend on the day.
FUNCTIONS = frozenset("range namespace raise_exception strftime_now".split())
METHODS = frozenset(
    "strip lstrip rstrip split startswith endswith upper lower title replace items keys values get append".split()
)
# Filters that take the name of a test, and where among their arguments it is.
TEST_ARGUMENTS = {"selectattr": 1, "rejectattr": 1}


def chat_template_json(source: Path, template: str, bos_token: str, eos_token: str) -> bytes:
    """The contents of chat_template.json."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    try:
        tree = environment.parse(template)
    except TemplateSyntaxError as error:
        raise ExportError(f"{source}: line {error.lineno} of the chat template: {error.message}") from None
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    for node in _all(tree.body):
        problem = _problem(node, macros)
        if problem:
            raise ExportError(f"{source}: line {node.lineno} of the chat template: {problem} is not supported")
    body = [_as_json(node) for node in tree.body]
    document = {"version": VERSION, "bos_token": bos_token, "eos_token": eos_token, "body": body}
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _all(tree: list[nodes.Node]) -> Iterator[nodes.Node]:
    for node in tree:
        yield node
        yield from _all(list(node.iter_child_nodes()))


def _problem(node: nodes.Node, macros: set[str]) -> str | None:
    """What of this node, without those below it, the evaluator does not have."""
    kind = type(node).__name__
    if kind not in NODES:
        return f"Jinja's {kind}"
    if getattr(node, "dyn_args", None) or getattr(node, "dyn_kwargs", None):
        return "an argument list with * or **"
    if isinstance(node, nodes.For) and node.recursive:
        return "a recursive loop"
    if isinstance(node, nodes.Filter):
        return _filter_problem(node)
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        return f"the test '{node.name}'"
    if isinstance(node, nodes.Call):
        return _call_problem(node.node, macros)
    return None


def _filter_problem(node: nodes.Filter) -> str | None:
    if node.node is None:
        return "a filter block"
    if node.name not in FILTERS:
        return f"the filter '{node.name}'"
    place = TEST_ARGUMENTS.get(node.name)
    if place is not None and len(node.args) > place:
        test = node.args[place]
        if not isinstance(test, nodes.Const) or test.value not in TESTS:
            return f"the test in '{node.name}'"
    if node.name == "map" and node.args:
        function = node.args[0]
        if not isinstance(function, nodes.Const) or function.value not in FILTERS:
            return "the filter in 'map'"
    return None


def _call_problem(called: nodes.Node, macros: set[str]) -> str | None:
    if isinstance(called, nodes.Name):
        return None if called.name in FUNCTIONS or called.name in macros else f"the function '{called.name}'"
    if isinstance(called, nodes.Getattr):
        return None if called.attr in METHODS else f"the method '{called.attr}'"
    return "a call of the result of an expression"


def _as_json(value: Any) -> Any:
    if isinstance(value, nodes.Node):
        fields = {field: _as_json(getattr(value, field, None)) for field in value.fields}
        return {"type": type(value).__name__, **fields, "line": value.lineno}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return value
