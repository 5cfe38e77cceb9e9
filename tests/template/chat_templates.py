"""Chat templates of the forms that public models have, written for these tests.

What is taken over is what such templates do: the special tokens, the order, the conditions, the features of Jinja that they
use; not their texts.
"""

from __future__ import annotations

from typing import Any

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

# Asks for the date, unless it is given; tools may be in the system's turn or in the user's.
LLAMA_3_2 = """
{{- bos_token }}
{%- if custom_tools is defined %}{% set tools = custom_tools %}{% endif %}
{%- if not tools_in_user_message is defined %}{% set tools_in_user_message = true %}{% endif %}
{%- if not date_string is defined %}
  {%- if strftime_now is defined %}{% set date_string = strftime_now("%d %b %Y") %}{% else %}{% set date_string = "26 Jul 2024" %}{% endif %}
{%- endif %}
{%- if not tools is defined %}{% set tools = none %}{% endif %}
{%- if messages[0]['role'] == 'system' %}
  {%- set system_message = messages[0]['content']|trim %}
  {%- set messages = messages[1:] %}
{%- else %}
  {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}{{ "Environment: somewhere\\n" }}{% endif %}
{{- "Knowledge: some\\nToday: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
  {%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{% endfor %}
{%- endif %}
{{- system_message }}{{- "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
  {%- if messages | length != 0 %}
    {%- set first_user_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
  {%- else %}
    {{- raise_exception("Cannot put tools into the first user message when there is none") }}
  {%- endif %}
  {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
  {%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{% endfor %}
  {{- first_user_message + "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
  {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}
"""

# A list of tools as JSON, one a line.
QWEN_2_5 = """
{%- if tools %}
  {{- '<|im_start|>system\\n' }}
  {%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{% else %}{{- 'You help.' }}{% endif %}
  {{- "\\n\\n# Tools\\n\\n<tools>" }}
  {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{% endfor %}
  {{- "\\n</tools>\\n<|im_end|>\\n" }}
{%- else %}
  {%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
  {%- else %}
    {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
  {%- endif %}
{%- endif %}
{%- for message in messages %}
  {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
  {%- elif message.role == "tool" %}
    {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{% endif %}
    {{- '\\n<tool_response>\\n' }}{{- message.content }}{{- '\\n</tool_response>' }}
    {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{% endif %}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""

# A system prompt of its own with the date of today and of yesterday.
MISTRAL_7 = """
{%- set today = strftime_now("%Y-%m-%d") %}
{%- set default_system_message = "You are somebody's model. The date is " + today + "." %}
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
  {%- if messages[0]['content'] is string %}
    {%- set system_message = messages[0]['content'] %}
  {%- else %}
    {%- set system_message = messages[0]['content'][0]['text'] %}
  {%- endif %}
  {%- set loop_messages = messages[1:] %}
{%- else %}
  {%- set system_message = default_system_message %}
  {%- set loop_messages = messages %}
{%- endif %}
{{- '[SYSTEM_PROMPT]' + system_message + '[/SYSTEM_PROMPT]' }}
{%- for message in loop_messages %}
  {%- if message['role'] == 'user' %}
    {%- if message['content'] is string %}
      {{- '[INST]' + message['content'] + '[/INST]' }}
    {%- else %}
      {%- for block in message['content'] %}{{- block['text'] }}{% endfor %}
    {%- endif %}
  {%- elif message['role'] == 'system' %}
    {{- '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}
  {%- elif message['role'] == 'assistant' %}
    {{- message['content'] + eos_token }}
  {%- else %}
    {{- raise_exception('Only user, system and assistant roles are supported!') }}
  {%- endif %}
{%- endfor %}
"""

PHI_4 = """
{% for message in messages %}
{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + message['content'] + '<|im_end|>'}}
{% elif (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'}}
{% elif (message['role'] == 'assistant') %}{{'<|im_start|>assistant<|im_sep|>' + message['content'] + '<|im_end|>'}}{% endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}
"""

# Keeps what it has seen in a namespace, and cuts thoughts off.
DEEPSEEK_R1 = """
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='', is_first_sp=true) %}
{%- for message in messages %}
  {%- if message['role'] == 'system' %}
    {%- if ns.is_first_sp %}
      {% set ns.system_prompt = ns.system_prompt + message['content'] %}
      {% set ns.is_first_sp = false %}
    {%- else %}
      {% set ns.system_prompt = ns.system_prompt + '\\n\\n' + message['content'] %}
    {%- endif %}
  {%- endif %}
{%- endfor %}
{{- bos_token }}{{- ns.system_prompt }}
{%- for message in messages %}
  {% set content = message['content'] %}
  {%- if message['role'] == 'user' %}
    {%- set ns.is_tool = false -%}
    {{- '<|User|>' + content + '<|Assistant|>' -}}
  {%- endif %}
  {%- if message['role'] == 'assistant' %}
    {% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
  {%- endif %}
  {%- if message['role'] == 'assistant' and message['tool_calls'] is defined and message['tool_calls'] is not none %}
    {%- set ns.is_tool = true -%}
  {%- elif message['role'] == 'assistant' and message['content'] is not none %}
    {{- content + eos_token }}
  {%- endif %}
  {%- if message['role'] == 'tool' %}
    {%- set ns.is_tool = true -%}
    {%- if ns.is_output_first %}
      {{- '<|outputs|><|output|>' + content + '<|output_end|>' }}
      {%- set ns.is_output_first = false %}
    {%- else %}
      {{- '\\n<|output|>' + content + '<|output_end|>' }}
    {%- endif %}
  {%- endif %}
{%- endfor -%}
{% if ns.is_tool %}{{- '<|outputs_end|>' }}{% endif %}
{% if add_generation_prompt and not ns.is_tool %}{{- '<|Assistant|><think>\\n' }}{% endif %}
"""

# Writes documents and tools by macros that call themselves.
COMMAND_R = """
{%- macro json_to_python_type(spec) %}
  {%- set basic = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"} %}
  {%- if basic[spec.type] is defined %}{{- basic[spec.type] }}
  {%- elif spec.type == "array" %}{{- "List[" + json_to_python_type(spec["items"]) + "]" }}
  {%- elif spec.type == "object" %}
    {%- if spec.additionalProperties is defined %}{{- "Dict[str, " + json_to_python_type(spec.additionalProperties) + ']' }}{% else %}{{- "Dict" }}{% endif %}
  {%- elif spec.type is iterable and spec.type is not string %}
    {{- "Union[" }}
    {%- for t in spec.type %}{{- json_to_python_type({"type": t}) }}{% if not loop.last %}{{- "," }}{% endif %}{% endfor %}
    {{- "]" }}
  {%- else %}{{- "Any" }}{% endif %}
{%- endmacro %}
{{- bos_token }}
{%- set preamble = messages[0].content if messages[0].role == 'system' else 'You answer.' %}
{{- '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + preamble }}
{%- if tools %}
  {%- for tool in tools %}
    {{- '\\n\\ndef ' + tool.name + '(' }}
    {%- for name, spec in tool.parameters.properties|items %}
      {{- name ~ ': ' ~ json_to_python_type(spec) }}
      {%- if name not in tool.parameters.required|default([]) %}{{- ' = None' }}{% endif %}
      {{- ', ' if not loop.last }}
    {%- endfor %}
    {{- ') -> ' ~ (tool.returns|default('Any')) ~ ':\\n    pass' }}
  {%- endfor %}
{%- endif %}
{{- '<|END_OF_TURN_TOKEN|>' }}
{%- for message in messages if message.role != 'system' %}
  {%- set role = {'user': 'USER', 'assistant': 'CHATBOT'}[message.role] | default('SYSTEM') %}
  {{- '<|START_OF_TURN_TOKEN|><|' ~ role ~ '_TOKEN|>' ~ message.content.strip() ~ '<|END_OF_TURN_TOKEN|>' }}
{%- endfor %}
{%- for document in documents or [] %}
  {{- 'Document: ' ~ loop.index0 ~ '\\n' }}
  {%- for key, value in document|dictsort %}{{- key|title ~ ': ' ~ value ~ '\\n' }}{% endfor %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}
"""

ZEPHYR = """
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
"""

# Thinks or not, by a variable or by a word in the system message.
SMOLLM_3 = """
{%- if enable_thinking is not defined %}{%- set enable_thinking = true %}{%- endif %}
{%- set reasoning_mode = "/think" if enable_thinking else "/no_think" %}
{%- if messages[0].role == "system" %}
  {%- set system_message = messages[0].content %}
  {%- if "/no_think" in system_message %}{%- set reasoning_mode = "/no_think" %}
  {%- elif "/think" in system_message %}{%- set reasoning_mode = "/think" %}{%- endif %}
  {%- set custom_instructions = system_message.replace("/no_think", "").replace("/think", "").rstrip() %}
{%- endif %}
{{- "<|im_start|>system\\n" -}}
{%- if system_message is defined and "/system_override" in system_message %}
  {{- custom_instructions.replace("/system_override", "").rstrip() -}}
{%- else %}
  {{- "## Metadata\\n\\nToday Date: " -}}
  {%- set today = strftime_now("%d %B %Y") -%}
  {{- today ~ "\\nReasoning Mode: " + reasoning_mode + "\\n\\n" -}}
  {%- if custom_instructions %}{{- custom_instructions + "\\n\\n" -}}{%- endif %}
  {%- if xml_tools or python_tools or tools %}
    {{- "### Tools\\n\\n" -}}
    {%- if python_tools -%}
      {%- set ns = namespace(python_tool_string="You may call:\\n") -%}
      {%- for tool in python_tools[:] -%}{%- set ns.python_tool_string = ns.python_tool_string ~ (tool | string) ~ "\\n" -%}{%- endfor -%}
      {{- ns.python_tool_string -}}
    {%- endif -%}
  {%- endif -%}
{%- endif -%}
{{- "<|im_end|>\\n" -}}
{%- for message in messages -%}
  {%- set content = message.content if message.content is string else "" -%}
  {%- if message.role == "user" -%}
    {{- "<|im_start|>" + message.role + "\\n" + content + "<|im_end|>\\n" -}}
  {%- elif message.role == "assistant" -%}
    {%- if reasoning_mode == "/think" -%}
      {{- "<|im_start|>assistant\\n" + content.lstrip("\\n") + "<|im_end|>\\n" -}}
    {%- else -%}
      {{- "<|im_start|>assistant\\n" + "<think>\\n\\n</think>\\n" + content.lstrip("\\n") + "<|im_end|>\\n" -}}
    {%- endif -%}
  {%- elif message.role == "tool" -%}
    {{- "<|im_start|>" + "user\\n" + content + "<|im_end|>\\n" -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {%- if reasoning_mode == "/think" -%}{{- "<|im_start|>assistant\\n" -}}
  {%- else -%}{{- "<|im_start|>assistant\\n" + "<think>\\n\\n</think>\\n" -}}{%- endif -%}
{%- endif -%}
"""

GRANITE = """
{%- if messages[0]['role'] == 'system' %}
  {%- set system_message = messages[0]['content'] %}
  {%- set loop_messages = messages[1:] %}
{%- else %}
  {%- set system_message %}Knowledge Cutoff Date: April 2024.
Today's Date: {{ strftime_now('%B %d, %Y') }}.
You are Granite.{% endset %}
  {%- if tools and documents %}
    {%- set system_message = system_message + " With tools and documents." %}
  {%- elif tools %}
    {%- set system_message = system_message + " With tools." %}
  {%- elif thinking %}
    {%- set system_message = system_message + " Think first." %}
  {%- endif %}
  {%- if 'citations' in controls and documents %}
    {%- set system_message = system_message + ' Use citations.' %}
  {%- endif %}
  {%- set loop_messages = messages %}
{%- endif %}
{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\\n' }}
{%- if tools %}{{- '<|start_of_role|>available_tools<|end_of_role|>' }}{{- tools | tojson(indent=4) }}{{- '<|end_of_text|>\\n' }}{% endif %}
{%- for document in documents or [] %}
  {{- '<|start_of_role|>document ' + document['doc_id'] | string + '<|end_of_role|>\\n' }}{{- document['text'] }}{{- '<|end_of_text|>\\n' }}
{%- endfor %}
{%- for message in loop_messages %}
  {{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}
  {%- if loop.last and add_generation_prompt %}
    {{- '<|start_of_role|>assistant' }}
    {%- if controls %}{{- ' ' + controls | tojson() }}{% endif %}
    {{- '<|end_of_role|>' }}
  {%- endif %}
{%- endfor %}
"""

HERMES = """
{{- bos_token }}
{%- if tools %}
  {{- '<|im_start|>system\\nYou may call one or more functions. Here are the tools: <tools> ' }}
  {%- for tool in tools %}
    {{- '{"type": "function", "function": ' }}
    {{- '{"name": "' + tool.name + '", ' }}
    {{- '"description": "' + tool.name + '(' }}
    {%- for param_name, param_fields in tool.parameters.properties | items %}
      {{- param_name + ": " + (param_fields.type | string) }}
      {%- if not loop.last %}{{- ", " }}{% endif %}
    {%- endfor %}
    {{- ')' }}
    {%- if tool.return is defined %}{{- " -> " + tool.return }}{% endif %}
    {{- ' - ' + tool.description | default('') + '\\n\\n' }}
    {%- for param_name, param_fields in tool.parameters.properties | items %}
      {%- if loop.first %}{{- "    Args:\\n" }}{% endif %}
      {{- "        " + param_name + "(" + (param_fields.type | string) + "): " + param_fields.description | default('') | trim }}
    {%- endfor %}
    {{- '", "parameters": ' }}
    {%- if tool.parameters.properties | length == 0 %}{{- '{}' }}{% else %}{{- tool.parameters | tojson }}{% endif %}
    {{- '}' }}
    {%- if not loop.last %}{{- '\\n' }}{% endif %}
  {%- endfor %}
  {{- ' </tools><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
  {%- if message.role == "user" or message.role == "system" or (message.role == "assistant" and message.tool_calls is not defined) %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
  {%- elif message.role == "tool" %}
    {%- if loop.previtem and loop.previtem.role != "tool" %}{{- '<|im_start|>tool\\n' }}{% endif %}
    {{- '<tool_response>\\n' }}{{- message.content }}
    {%- if not loop.last %}{{- '\\n</tool_response>\\n' }}{% else %}{{- '\\n</tool_response>' }}{% endif %}
    {%- if not loop.last and loop.nextitem.role != "tool" %}{{- '<|im_end|>' }}{% elif loop.last %}{{- '<|im_end|>' }}{% endif %}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
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
    "llama-3.2": LLAMA_3_2,
    "qwen-2.5": QWEN_2_5,
    "mistral-7": MISTRAL_7,
    "phi-4": PHI_4,
    "deepseek-r1": DEEPSEEK_R1,
    "command-r": COMMAND_R,
    "zephyr": ZEPHYR,
    "smollm-3": SMOLLM_3,
    "granite": GRANITE,
    "hermes": HERMES,
}

_PARAMETERS = {
    "properties": {
        "city": {"description": " Where 日本 ", "type": "string"},
        "days": {"items": {"type": "integer"}, "type": "array"},
        "more": {"additionalProperties": {"type": "number"}, "type": "object"},
        "units": {"type": ["string", "null"]},
    },
    "required": ["city"],
    "type": "object",
}
_TOOL = {
    "description": 'Tells the "weather" <|im_end|>',
    "name": "weather",
    "parameters": _PARAMETERS,
    "return": "dict",
}
_PLAIN_TOOL = {"name": "now", "parameters": {"properties": {}, "type": "object"}}
_TOOLS = [[], [_TOOL], [_TOOL, _PLAIN_TOOL]]
_DOCUMENTS = [[], [{"doc_id": 1, "text": "One <s>", "title": "é"}, {"doc_id": "b", "text": "", "title": "T"}]]

# What callers give beside the messages. Keys are in the order of the alphabet, as a request has them.
ARGUMENTS: dict[str, dict[str, list[Any]]] = {
    "qwen-3": {"enable_thinking": [True, False], "tools": [[], [_TOOL]]},
    "llama-3.2": {
        "tools": _TOOLS,
        "custom_tools": _TOOLS,
        "tools_in_user_message": [True, False],
        "date_string": ["x", "</s>"],
    },
    "qwen-2.5": {"tools": _TOOLS},
    "command-r": {"tools": _TOOLS, "documents": _DOCUMENTS},
    "smollm-3": {"enable_thinking": [True, False], "python_tools": [[], ["f()", 2.5]], "xml_tools": _TOOLS},
    "granite": {
        "tools": _TOOLS,
        "documents": _DOCUMENTS,
        "thinking": [True, False],
        "controls": [{}, {"citations": True}],
    },
    "hermes": {"tools": _TOOLS},
}
