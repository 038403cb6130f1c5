"""The bundled model with a chat template that has a place for tools: its own has none.

    tool_model.py FOLDER [text01]
"""

import json
import sys
from pathlib import Path

MINI = Path(__file__).resolve().parents[2] / "models/mini"

# Frames as in MiniMax-M1: tools in a frame of their own, before the conversation.
M1 = """\
{% for m in messages %}{% if m['role'] == 'system' %}
{{- '<beginning_of_sentence>system ai_setting=assistant\\n' + m['content'] -}}
{{- '<end_of_sentence>\\n' }}{% endif %}{% endfor %}
{%- if tools %}
{{- '<beginning_of_sentence>system tool_setting=tools\\nThese are your tools:\\n<tools>\\n' }}
{%- for t in tools %}{{ t | tojson + '\\n' }}{% endfor %}
{{- '</tools>\\n\\nTo call some of them, write\\n<tool_calls>\\n' -}}
{{- '{"name": NAME, "arguments": OBJECT}\\n</tool_calls><end_of_sentence>\\n' }}{% endif %}
{%- for m in messages %}{% if m['role'] == 'user' %}
{{- '<beginning_of_sentence>user name=user\\n' + m['content'] + '<end_of_sentence>\\n' }}
{%- elif m['role'] == 'assistant' %}
{{- '<beginning_of_sentence>ai name=assistant\\n' + m['content'] + '<end_of_sentence>\\n' }}
{%- elif m['role'] == 'tool' %}
{{- '<beginning_of_sentence>tool name=tools\\ntool name: ' + m['name'] -}}
{{- '\\ntool result: ' + m['content'] + '\\n\\n<end_of_sentence>\\n' }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<beginning_of_sentence>ai name=assistant\\n' }}{% endif %}"""

# Frames as in MiniMax-Text-01: results as JSON, tools one a frame, after the conversation.
TEXT_01 = """\
{% for m in messages %}{% if m['role'] == 'system' %}
{{- '<beginning_of_sentence>system ai_setting=assistant\\n' + m['content'] -}}
{{- '<end_of_sentence>\\n' }}
{%- elif m['role'] == 'user' %}
{{- '<beginning_of_sentence>user name=user\\n' + m['content'] + '<end_of_sentence>\\n' }}
{%- elif m['role'] == 'assistant' %}
{{- '<beginning_of_sentence>ai name=assistant\\n' + m['content'] + '<end_of_sentence>\\n' }}
{%- elif m['role'] == 'function' %}
{{- '<beginning_of_sentence>system function_response=functions\\n{"name": "' + m['name'] -}}
{{- '", "response": ' + m['content'] + '}<end_of_sentence>\\n' }}{% endif %}{% endfor %}
{%- for t in tools or [] %}
{{- '<beginning_of_sentence>system function_setting=functions\\n' + t | tojson -}}
{{- '<end_of_sentence>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<beginning_of_sentence>ai name=assistant\\n' }}{% endif %}"""


def make_tool_model(folder, form="m1"):
    """Makes a model folder, which must not exist, and returns its path. `form`: m1 or text01, the
    form of calls that the template and the tokenizer speak of. The weights are those of the bundled
    model, linked to; it has not learnt to call, so that only a forced call is sure to come."""
    template = {"m1": M1, "text01": TEXT_01}[form]
    folder = Path(folder)
    folder.mkdir(parents=True)
    for name in ["config.json", "generation_config.json", "model.safetensors"]:
        (folder / name).symlink_to(MINI / name)
    config = json.loads((MINI / "tokenizer_config.json").read_text())
    config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = (MINI / "tokenizer.json").read_text()
    if form == "text01":  # where the marker is one token; the bundled model has no use for images
        tokenizer = tokenizer.replace('"<image>"', '"<function_call>"')
    (folder / "tokenizer.json").write_text(tokenizer)
    return folder


if __name__ == "__main__":
    print(make_tool_model(*sys.argv[1:]))
