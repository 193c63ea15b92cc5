"""Writes families/: templates with the structure of well-known ones, conversations, and what transformers renders of them."""
import gzip
import itertools
import json
import os

import oracle

TEMPLATES = {
    "chatml": """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "llama2": """{% if messages[0]['role'] == 'system' %}
    {% set rest = messages[1:] %}{% set system = messages[0]['content'] %}
{% else %}
    {% set rest = messages %}{% set system = false %}
{% endif %}
{% for message in rest %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {% endif %}
    {% if loop.index0 == 0 and system != false %}
        {% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}
    {% else %}
        {% set content = message['content'] %}
    {% endif %}
    {% if message['role'] == 'user' %}
        {{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {% elif message['role'] == 'assistant' %}
        {{ ' ' + content.strip() + ' ' + eos_token }}
    {% endif %}
{% endfor %}""",
    "llama3": """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + (message['content'] | string | trim) + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}""",
    "bitnet": """{% for message in messages %}{{ message['role'] | capitalize + ': ' }}{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}{% for part in message['content'] or [] %}{{ part.text }}{% endfor %}{% endif %}{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}""",
    "falcon3": """{%- if tools %}
{{- '<|system|>\\n' }}
{%- if messages[0]['role'] == 'system' %}
{{- messages[0]['content'] }}
{%- set rest = messages[1:] %}
{%- else %}
{%- set rest = messages %}
{%- endif %}
{{- 'You may call these functions:\\n' }}
    {% for tool in tools %}
{{ tool | tojson(indent=4) }}
    {% endfor %}
{%- else %}
{%- set rest = messages %}
{%- endif %}
{% for message in rest %}
{{ '<|' + message.role + '|>\\n' + (message.content or '') + ('\\n' if not loop.last else eos_token) }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}
""",
    "qwen3like": """{%- macro text(content) -%}
    {%- if content is string %}{{- content }}{%- elif content is iterable and content is not mapping %}
        {%- for part in content %}{%- if part is mapping and part.type == 'text' %}{{- part.text }}{%- endif %}{%- endfor %}
    {%- endif %}
{%- endmacro %}
{%- if tools and tools is iterable %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- text(messages[0].content) + '\\n\\n' }}{%- endif %}
    {{- '# Tools\\n\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + text(messages[0].content) + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == 'user' and not text(message.content).startswith('<tool_response>') %}
        {%- set ns.searching = false %}{%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + text(message.content) + '<|im_end|>' + '\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set content = text(message.content) %}{%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.last and reasoning %}{{- '<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' }}{%- endif %}
        {{- content }}
        {%- for call in message.tool_calls or [] %}
            {%- if call.function %}{%- set call = call.function %}{%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' + text(message.content) + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}""",
    "xmltools": """{%- for tool in tools or [] %}
{%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
    {{- '<function>\\n<name>' ~ tool.name ~ '</name>' }}
    {%- for name, fields in (tool.parameters.properties or {}) | items %}
        {{- '\\n<parameter>' ~ name }}
        {%- for key in fields %}{%- if key not in ['type', 'description'] %}{{- ' ' ~ key ~ '=' ~ fields[key] }}{%- endif %}{%- endfor %}
        {{- '</parameter>' }}
    {%- endfor %}
    {{- '\\n</function>\\n' }}
{%- endfor %}
{%- for message in messages %}
    {{- '[' ~ message.role ~ ']' ~ (message.content | default('', true) | string) }}
    {%- for call in message.tool_calls | default([]) %}
        {{- '<function=' ~ call.function.name ~ '>\\n' }}
        {%- for name, value in call.function.arguments | items %}
            {{- '<parameter=' ~ name ~ '>\\n' ~ (value | tojson if value is mapping or value is sequence and value is not string else value | string) ~ '\\n</parameter>\\n' }}
        {%- endfor %}
        {{- '</function>' }}
    {%- endfor %}
    {{- '\\n' }}
{%- endfor %}
{{- 'Today is ' ~ strftime_now('%d %b %Y') ~ '.' }}
{%- if add_generation_prompt %}{{- '\\n[assistant]<think>\\n' }}{%- endif %}""",
    "generation": """{% for message in messages %}<|{{ message.role }}|>
{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}
{% else %}{{ message.content }}{% endif %}

{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}""",
}

TOOLS = json.loads("""[{"type": "function", "function": {"name": "weather", "description": "The <b>weather</b> & more: it's \\"nice\\" 天气",
"parameters": {"type": "object", "properties": {"place": {"type": "string", "description": "e.g. Zürich"},
"days": {"type": "integer", "minimum": 1, "maximum": 7.5, "default": 1.0}, "unit": {"type": "string", "enum": ["C", "F"]},
"opt": {"type": ["string", "null"], "default": null}, "strict": {"type": "boolean", "default": true}}, "required": ["place"]}}}]""")

def said(role, content, **more):
    return {"role": role, "content": content, **more}


def called(arguments):
    return [{"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": arguments}}]


CONVERSATIONS = {
    "basic": [said("system", "Be kind."), said("user", "Hello"), said("assistant", "Hi!"), said("user", "2+2?")],
    "user": [said("user", "  Hello \n")],
    "unicode": [said("user", "日本語 😀 <b>&'\"</b> \u001c")],
    "empty": [said("user", ""), said("assistant", ""), said("user", "\n\n")],
    "wrong roles": [said("user", "a"), said("user", "b")],
    "thought": [said("user", "q1"), said("assistant", "<think>\nhm\n</think>\n\nyes"), said("user", "q2"),
                said("assistant", "second", reasoning_content="deep\nthought"), said("user", "q3")],
    "answered": [said("user", "q"), said("assistant", "<think>\nx\n</think>\n\nanswer")],
    "parts": [said("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])],
    "call": [said("user", "Weather?"), said("assistant", "", tool_calls=called({"place": "Zürich", "days": 2, "x": [1.0, None, True]})),
             said("tool", "sunny", name="weather", tool_call_id="call00001"), said("user", "thanks")],
    "call as text": [said("user", "Weather?"), said("assistant", None, tool_calls=called('{"place": "Bern"}')), said("tool", "rain")],
}


def main():
    cases = []
    for (name, messages), prompt, think, tools in itertools.product(CONVERSATIONS.items(), (True, False), (None, True, False), (None, TOOLS)):
        v = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>"}
        if think is not None:
            v["enable_thinking"] = think
        cases.append([f"{name}, prompt {prompt}, thinking {think}, tools {tools is not None}", v])
    expected = {t: {name: oracle.render(text, v) for name, v in cases} for t, text in TEMPLATES.items()}
    os.makedirs("families", exist_ok=True)
    for name, data in ("templates", TEMPLATES), ("cases", cases), ("expected", expected):
        with open(f"families/{name}.json.gz", "wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as f:
            f.write(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
    for t, renders in expected.items():
        print(t, len(renders), "renders,", sum(not ok for ok, _ in renders.values()), "of them errors")

    # What {% generation %} marks, in bytes.
    messages = [said("user", "Grüezi"), said("assistant", "Hoi zäme"), said("user", "?"), said("assistant", "!")]
    text, spans = oracle.render_spans(TEMPLATES["generation"], {"messages": messages, "eos_token": "</s>"})
    at = lambda i: len(text[:i].encode())
    print([(at(a), at(b), text[a:b]) for a, b in spans], repr(text))


if __name__ == "__main__":
    main()
