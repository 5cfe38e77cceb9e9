"""Chat templates of the forms that public models have, written for these tests.

What is taken over is what such templates do: the special tokens, the order, the conditions, the features of Jinja that they
use; not their texts.
"""

from __future__ import annotations

CHATML = """
{%- for message in messages -%}
  {%- if loop.first and message['role'] != 'system' -%}
    {{ '<|im_start|>system\\nYou are a helpful assistant, trained by somebody.<|im_end|>\\n' }}
  {%- endif -%}
  {{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""

# The system prompt goes into the first turn of the user; roles must alternate.
LLAMA_2 = """
{% if messages[0]['role'] == 'system' %}
  {% set turns = messages[1:] %}
  {% set system_message = messages[0]['content'] %}
{% else %}
  {% set turns = messages %}
  {% set system_message = false %}
{% endif %}
{% for message in turns %}
  {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
    {{ raise_exception('Roles must alternate: user, assistant, user, assistant, ...') }}
  {% endif %}
  {% if loop.index0 == 0 and system_message != false %}
    {% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}
  {% else %}
    {% set content = message['content'] %}
  {% endif %}
  {% if message['role'] == 'user' %}
{{- bos_token + '[INST] ' + content.strip() + ' [/INST]' -}}
  {% elif message['role'] == 'assistant' %}
{{- ' ' + content.strip() + ' ' + eos_token -}}
  {% endif %}
{% endfor %}
"""

LLAMA_3 = """
{{- bos_token }}
{%- if not tools is defined %}{% set tools = none %}{% endif %}
{%- if messages and messages[0]['role'] == 'system' %}
  {%- set system_message = messages[0]['content'] | trim %}
  {%- set messages = messages[1:] %}
{%- else %}
  {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}{{ "Environment: ipython\\n" }}{% endif %}
{%- if strftime_now is defined %}{% set today = strftime_now("%d") %}{% else %}{% set today = "26 Jul 2024" %}{% endif %}
{{- "Today Date: " + today + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
  {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
  {%- elif message.role in ["tool", "ipython"] %}
    {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
    {%- if message.content is mapping or (message.content is iterable and message.content is not string) %}
      {{- message.content | tojson }}
    {%- else %}
      {{- message.content | tojson(indent=2) }}
    {%- endif %}
    {{- "<|eot_id|>" }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

# Looks from the end for the last question, and drops what was thought before it.
QWEN_3 = """
{%- if tools %}
  {{- raise_exception('no tools in this test') }}
{%- elif messages[0].role == 'system' %}
  {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
  {%- set index = (messages|length - 1) - loop.index0 %}
  {%- if ns.searching and message.role == "user" and message.content is string
        and not (message.content.startswith('<answer>') and message.content.endswith('</answer>')) %}
    {%- set ns.searching = false %}
    {%- set ns.last_query = index %}
  {%- endif %}
{%- endfor %}
{%- for message in messages %}
  {%- set content = message.content if message.content is string else '' %}
  {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>' ~ '\\n' }}
  {%- elif message.role == "assistant" %}
    {%- set thought = '' %}
    {%- if message.thought is string %}
      {%- set thought = message.thought %}
    {%- elif '</think>' in content %}
      {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
      {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {%- if loop.index0 > ns.last_query and (loop.last or thought) %}
      {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
    {%- else %}
      {{- '<|im_start|>' + message.role + '\\n' + content }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
  {%- elif message.role == "tool" %}
    {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{% endif %}
    {{- '\\n<answer>\\n' }}{{- content }}{{- '\\n</answer>' }}
    {%- if loop.last or loop.nextitem.role != "tool" %}{{- '<|im_end|>\\n' }}{% endif %}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\\n' }}
  {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}
"""

MISTRAL = """
{%- if messages[0]["role"] == "system" %}
  {%- set system_message = messages[0]["content"] %}
  {%- set loop_messages = messages[1:] %}
{%- else %}
  {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
  {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
      {{- raise_exception("After the optional system message, roles must alternate user/assistant") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
  {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
  {%- if message["role"] == "user" %}
    {%- if loop.last and system_message is defined and message == user_messages[-1] %}
      {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
    {%- else %}
      {{- "[INST] " + message["content"] + "[/INST]" }}
    {%- endif %}
  {%- elif message["role"] == "assistant" %}
    {{- " " + message["content"]|trim + eos_token }}
  {%- else %}
    {{- raise_exception("Only user and assistant roles are supported, got " ~ message["role"]) }}
  {%- endif %}
{%- endfor %}
"""

GEMMA = """
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
  {{ raise_exception('System role not supported') }}
{%- endif -%}
{%- for message in messages -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{ raise_exception('Conversation roles must alternate') }}
  {%- endif -%}
  {%- if message['role'] == 'assistant' -%}
    {%- set role = 'model' -%}
  {%- else -%}
    {%- set role = message['role'] -%}
  {%- endif -%}
  {{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""

# Builds its special tokens from the role.
PHI = """
{% for message in messages %}
{% if message['role'] == 'system' and not message['content'] %}{% continue %}{% endif %}
{{ '<|' + message['role'] + '|>' + '\\n' + message['content'] + '<|end|>\\n' }}
{% endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}
"""

# Macros, and more of what there is.
MACROS = """
{% macro turn(name, text, mark='##') -%}
  {{ mark }} {{ name|title }}: {{ text|replace('\\r', '')|trim }}{{ '\\n' }}
{%- endmacro %}
{% for role, said in [('a', messages|map(attribute='content')|first), ('b', messages|map(attribute='role')|join(', '))] %}
{{ turn(role, said, mark='**') }}
{%- endfor %}
{% for message in messages if message.role != 'system' %}
{{ turn(message.role, message.content) }}
{%- if loop.index >= 3 %}{% break %}{% endif %}
{% else %}
nobody speaks
{% endfor %}
{{ messages|rejectattr('role', 'in', ['user', 'system'])|list|length }} of {{ messages|length }}
"""

ALL = {
    "chatml": CHATML,
    "llama-2": LLAMA_2,
    "llama-3": LLAMA_3,
    "qwen-3": QWEN_3,
    "mistral": MISTRAL,
    "gemma": GEMMA,
    "phi": PHI,
    "macros": MACROS,
}
