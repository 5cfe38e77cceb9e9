"""A chat template's syntax tree is all of the template, and holds nothing that the evaluator does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from generator_export.chat_template import NODES, chat_template_json
from generator_export.errors import ExportError
from jinja2 import Environment, nodes

SOURCE = Path("model.gguf")

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nHello"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# In the manner of Qwen3's, with something of everything.
LONG = """
{%- macro tool(entry, indent=2) %}
    {{- entry.name ~ ": " ~ (entry.arguments | tojson(indent=indent)) }}
{%- endmacro %}
{%- set ns = namespace(last=messages | length - 1, seen=[]) %}
{%- if tools is defined and tools %}
    {%- for entry in tools if entry.name not in ('skipped', 'hidden') %}
        {{- tool(entry, indent=1) }}
    {%- else %}
        {{- 'no tools' }}
    {%- endfor %}
{%- endif %}
{%- for message in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- if message.content is string and not message.content.startswith('skip') and index <= ns.last %}
        {%- set ns.last = index %}
    {%- elif message.role == 'stop' %}
        {%- break %}
    {%- else %}
        {%- continue %}
    {%- endif %}
    {%- set thought = '</think>' in message.content %}
    {%- set content = message.content.split('</think>')[-1].lstrip('\\n') if thought else message.content %}
    {{- bos_token + message.role | upper + ': ' + content | trim }}
    {{- {'a': -1 // 2, 'b': [1 * 2.5, 7 % 4, 1 / 2]}['a'] if loop.last or loop.first else '' }}
    {{- messages | selectattr('role', 'equalto', 'user') | map('upper') | list | length if false else '' }}
{%- endfor %}
That was all.
"""


def tree_of(template: str) -> dict[str, Any]:
    return json.loads(chat_template_json(SOURCE, template, "<s>", "</s>"))


def rebuilt(value: Any) -> Any:
    """Jinja's own nodes from what was written."""
    if isinstance(value, list):
        return [rebuilt(each) for each in value]
    if not isinstance(value, dict):
        return value
    kind = getattr(nodes, value["type"])
    fields = [rebuilt(value[field]) for field in kind.fields]
    return kind(*fields, lineno=value["line"])


def render(document: dict[str, Any], **context: Any) -> str:
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    tree = nodes.Template(rebuilt(document["body"]), lineno=1)
    tree.set_environment(environment)
    code = environment.compile(tree, "template", "template.jinja")
    context = {**context, "bos_token": document["bos_token"]}
    return environment.template_class.from_code(environment, code, environment.make_globals(None)).render(context)


@pytest.mark.parametrize("template", [CHATML, LONG])
@pytest.mark.parametrize("tools", [[], [{"name": "add", "arguments": {"a": [1, "ü"]}}, {"name": "hidden"}]])
def test_the_tree_is_the_whole_template(template: str, tools: list[dict[str, Any]]) -> None:
    context = {
        "messages": [
            {"role": "user", "content": "Hi <there>"},
            {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello "},
            {"role": "user", "content": "skip"},
        ],
        "tools": tools,
        "add_generation_prompt": True,
    }
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    expected = environment.from_string(template).render(bos_token="<s>", **context)
    assert len(expected) > 20
    assert render(tree_of(template), **context) == expected


def test_a_node_is_its_type_its_fields_and_its_line() -> None:
    document = tree_of("a\n{{ x.y['z'] | default(2.5) }}")
    assert document == {
        "version": 1,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "body": [
            {
                "type": "Output",
                "nodes": [
                    {"type": "TemplateData", "data": "a\n", "line": 1},
                    {
                        "type": "Filter",
                        "node": {
                            "type": "Getitem",
                            "node": {
                                "type": "Getattr",
                                "node": {"type": "Name", "name": "x", "ctx": "load", "line": 2},
                                "attr": "y",
                                "ctx": "load",
                                "line": 2,
                            },
                            "arg": {"type": "Const", "value": "z", "line": 2},
                            "ctx": "load",
                            "line": 2,
                        },
                        "name": "default",
                        "args": [{"type": "Const", "value": 2.5, "line": 2}],
                        "kwargs": [],
                        "dyn_args": None,
                        "dyn_kwargs": None,
                        "line": 2,
                    },
                ],
                "line": 1,
            }
        ],
    }


def test_the_examples_have_every_kind_of_node() -> None:
    def kinds(value: Any) -> set[str]:
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        own = {value["type"]} if isinstance(value, dict) and "type" in value else set()
        return own.union(*map(kinds, below))

    assert kinds(tree_of(LONG)["body"]) == NODES


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if x %}", "line 1 of the chat template: Unexpected end"),
        (
            "a\nb{% generation %}{% endgeneration %}",
            "line 2 of the chat template: Encountered unknown tag 'generation'",
        ),
        ("{% set x %}1{% endset %}", "AssignBlock"),
        ("{% include 'x' %}", "Include"),
        ("{{ 2 ** 3 }}", "Pow"),
        ("{{ x | safe }}", "filter 'safe'"),
        ("{% if x is divisibleby 3 %}{% endif %}", "test 'divisibleby'"),
        ("{{ x | selectattr('a', 'odd') | list }}", "test in 'selectattr'"),
        ("{{ x | map('wordcount') | list }}", "filter in 'map'"),
        ("{{ cycler() }}", "function 'cycler'"),
        ("{{ x.encode() }}", "method 'encode'"),
        ("{{ x()() }}", "call of the result"),
        ("{{ range(*x) }}", r"argument list with \* or \*\*"),
        ("{% for x in y recursive %}{% endfor %}", "recursive loop"),
        ("{% filter upper %}a{% endfilter %}", "FilterBlock"),
    ],
)
def test_what_the_evaluator_does_not_have_is_named(template: str, message: str) -> None:
    with pytest.raises(ExportError, match=f"model.gguf: line . of the chat template: .*{message}|{message}"):
        tree_of(template)


def test_map_by_attribute_is_no_filter() -> None:
    assert tree_of("{{ x | map(attribute='content') | join(' ') }}")["body"]
