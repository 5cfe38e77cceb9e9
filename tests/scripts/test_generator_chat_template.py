"""A chat template's syntax tree is all of the template, and holds nothing that the evaluator does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, nodes

from generator_export.chat_template import NODES, Generation, chat_template_json
from generator_export.errors import ExportError

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
{%- set all %}That was {{ 2 ** 3 }}{{ +1 }}{% endset %}
{%- filter upper %}{{ all }}{% endfilter %}
{%- macro marked() %}[{{ caller() }}]{% endmacro %}
{%- call marked() %}{% with mark = '!' %}{{ mark }}{% endwith %}{% endcall %}
{%- generation %}{% set all = 'less' %}{{ all }}{% endgeneration %}{{ all }}.
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
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
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
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
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
            "a\nb{% cite %}{% endcite %}",
            "line 2 of the chat template: Encountered unknown tag 'cite'.*--chat-template none",
        ),
        ("{% import 'x' as y %}", "Import"),
        ("{% include 'x' %}", "Include"),
        ("{{ (x | safe) + y }}", "filter 'safe'"),
        ("{{ x | xmlattr }}", "filter 'xmlattr'"),
        ("{% if x is filter %}{% endif %}", "test 'filter'"),
        ("{{ x | selectattr('a', 'upper') | list }}", "test in 'selectattr'"),
        ("{{ x | map('wordcount') | list }}", "filter in 'map'"),
        ("{{ cycler() }}", "function 'cycler'"),
        ("{{ x.encode() }}", "method 'encode'"),
        ("{{ x | int(0, 16) }}", "argument 2 of the filter 'int'"),
        ("{{ x | int(base=16) }}", "argument 'base' of the filter 'int'"),
        ("{{ x | map('int', base=16) | list }}", "argument 'base' of the filter 'int'"),
        ("{{ x | map('int', 0, 16) | list }}", "argument 2 of the filter 'int'"),
        ("{{ x | map('sort', attribute='a,b') | list }}", "filter 'sort' by several attributes"),
        ("{{ x | map('select', 'odd', 3) | list }}", "argument 1 of the test 'odd'"),
        ("{{ x | map(attribute='a', other=1) | list }}", "argument 'other' of the filter 'map'"),
        ("{{ x | upper('a') }}", "argument 1 of the filter 'upper'"),
        ("{% filter indent(2, indentfirst=true) %}a{% endfilter %}", "argument 'indentfirst' of the filter 'indent'"),
        ("{{ x | sort(attribute='a,b') }}", "filter 'sort' by several attributes"),
        ("{{ x | sort(false, false, 'a,b') }}", "filter 'sort' by several attributes"),
        ("{{ x | sort(attribute=y) }}", "filter 'sort' by several attributes"),
        ("{{ x is divisibleby(2, 3) }}", "argument 2 of the test 'divisibleby'"),
        ("{{ x | select('odd', 3) | list }}", "argument 1 of the test 'odd'"),
        ("{{ x | selectattr('a', 'in', y, 3) | list }}", "argument 2 of the test 'in'"),
        ("{{ range(1, 2, 3, 4) }}", "argument 4 of the function 'range'"),
        ("{{ raise_exception(message='a', other='b') }}", "argument 'other' of the function 'raise_exception'"),
        ("{{ x.find('a', 1) }}", "argument 2 of the method 'find'"),
        ("{{ x.startswith('a', 1) }}", "argument 2 of the method 'startswith'"),
        ("{{ x.splitlines(true) }}", "argument 1 of the method 'splitlines'"),
        ("{{ x()() }}", "call of the result"),
        ("{{ range(*x) }}", r"argument list with \* or \*\*"),
        ("{% for x in y recursive %}{% endfor %}", "recursive loop"),
    ],
)
def test_what_the_evaluator_does_not_have_is_named(template: str, message: str) -> None:
    with pytest.raises(ExportError, match=f"model.gguf: line . of the chat template: .*{message}|{message}"):
        tree_of(template)


def test_what_is_marked_for_training_is_what_it_is_without_the_mark() -> None:
    marked = tree_of(
        "a{% generation %}b{{ c }}{% if d %}{% generation %}e{% endgeneration %}{% endif %}{% endgeneration %}"
    )
    assert render(marked, c="C", d=True) == "abCe"
    assert render(tree_of("{% generation %}{% set a = 1 %}{{ a }}{% endgeneration %}{{ a }}")) == "1"
    # The mark's own line leaves nothing, as with transformers.
    assert render(tree_of("a\n{% generation %}\nb\n{% endgeneration %}\n")) == "a\nb\n"


def test_special_tokens_are_there_by_their_names() -> None:
    def rendered(template: str) -> str:
        tokens = {"unk_token": "<unk>", "pad_token": "{{ pad }}"}
        return render(json.loads(chat_template_json(SOURCE, template, "<s>", "</s>", tokens)))

    assert rendered("a{{ bos_token }}{{ unk_token }}{{ pad_token }}{{ sep_token }}") == "a<s><unk>{{ pad }}"
    assert rendered("{{ sep_token is defined }} {{ pad_token is defined }}") == "False True"
    assert rendered("{% macro m() %}{{ unk_token }}{% endmacro %}{% for i in [1] %}{{ m() }}{% endfor %}") == "<unk>"
    # What a template sets itself counts from there on.
    assert rendered("{{ unk_token }}{% set unk_token = 'x' %}{{ unk_token }}") == "<unk>x"
    assert rendered("{% for pad_token in 'ab' %}{{ pad_token }}{% endfor %}") == "ab"
    # Nothing that is not read.
    without = json.loads(chat_template_json(SOURCE, "{{ 'unk_token' }}", "<s>", "</s>", {"unk_token": "<unk>"}))
    assert without == tree_of("{{ 'unk_token' }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ x | int(3) }}{{ x | int(default=3) }}{{ x | round(1, method='floor') }}",
        "{{ x | sort(attribute='a.b') }}{{ x | sort(true, attribute=0) }}{{ x | sum('a', start=1) }}",
        "{{ x | selectattr('a') | list }}{{ x | select('divisibleby', 3) | list }}{{ x | selectattr('a', 'in', y) }}",
        "{{ x | map(attribute='a', default=1) | list }}{{ x | map('default', 'a', boolean=true) | list }}",
        "{{ x | map('selectattr', 'a', 'in', y) | list }}{{ x | map('map', attribute='a') | list }}",
        "{{ namespace(a=1, b=2).a }}{{ dict(x, a=1) }}{{ namespace(x) }}",
        "{{ x.split('a', maxsplit=1) }}{{ x.get('a', 1) }}{{ x.strip() }}{{ x.strip('a') }}",
        "{% macro find(a, b, c) %}{{ a }}{% endmacro %}{{ find(1, 2, c=3) }}",
    ],
)
def test_the_arguments_that_the_evaluator_has_are_fine(template: str) -> None:
    assert tree_of(template)["body"]


def test_map_by_attribute_is_no_filter() -> None:
    assert tree_of("{{ x | map(attribute='content') | join(' ') }}")["body"]
