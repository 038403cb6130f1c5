#!/usr/bin/env python3
"""Renders chat templates with Jinja2, set up as Hugging Face transformers sets it up.

  template_oracle.py check                 compare the fixtures in tests/golden/templates
  template_oracle.py write                 write them again
  template_oracle.py conversations CONFIG  print as JSON what the template of a
                                           tokenizer_config.json makes of the conversations

Exits with 77 when jinja2 is not installed (Debian: python3-jinja2).
"""

import json
import pathlib
import sys

try:
    import jinja2
    import jinja2.ext
    import jinja2.sandbox
except ImportError:
    print("jinja2 is not installed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "golden" / "templates"


class Generation(jinja2.ext.Extension):
    """`generation` blocks print what is inside."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def render(source, variables):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols],
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(source).render(**variables)


def wrap(message):
    """String content as a list, the way templates that insist on lists want it."""
    content = message["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if "name" in message:
        content = [{**item, "name": item.get("name", message["name"])} for item in content]
    return {**message, "content": content}


def conversations(source, tokens):
    """The outputs for every conversation, without and with tools and generation prompt."""
    data = json.loads((FOLDER / "conversations.json").read_text())
    outputs = []
    for messages in data["conversations"]:
        for tools in (None, data["tools"]):
            for prompt in (False, True):
                variables = {
                    "messages": [wrap(message) for message in messages],
                    "tools": tools,
                    "documents": None,
                    "add_generation_prompt": prompt,
                    **tokens,
                }
                outputs.append(render(source, variables))
    return outputs


def language_text():
    """language.json with what Jinja2 makes of each case; null for an error. One case a line."""
    data = json.loads((FOLDER / "language.json").read_text())
    lines = {"contexts": [], "cases": []}
    for name, context in data["contexts"].items():
        lines["contexts"].append(f"{json.dumps(name)}: {json.dumps(context, ensure_ascii=False)}")
    for case in data["cases"]:
        try:
            context = data["contexts"].get(case.get("context"), {})
            case["expect"] = render(case["template"], context)
        except Exception:  # whatever Python raises: the template is refused
            case["expect"] = None
        lines["cases"].append(json.dumps(case, ensure_ascii=False))
    contexts, cases = (",\n".join(lines[key]) for key in ("contexts", "cases"))
    return f'{{"contexts": {{\n{contexts}\n}},\n"cases": [\n{cases}\n]}}\n'


def fixtures():
    text_01 = conversations((FOLDER / "minimax-text-01.jinja").read_text(), {})
    return {
        "language.json": language_text(),
        "minimax-text-01.json": json.dumps(text_01, ensure_ascii=False, indent=1) + "\n",
    }


def main(arguments):
    if arguments == ["write"]:
        for name, text in fixtures().items():
            (FOLDER / name).write_text(text)
        return 0
    if arguments == ["check"]:
        wrong = [n for n, text in fixtures().items() if (FOLDER / n).read_text() != text]
        for name in wrong:
            print(f"{FOLDER / name} is not what jinja2 {jinja2.__version__} gives")
        return 1 if wrong else 0
    if len(arguments) == 2 and arguments[0] == "conversations":
        config = json.loads(pathlib.Path(arguments[1]).read_text())
        tokens = {key: config[key] for key in ("bos_token", "eos_token", "unk_token") if key in config}
        print(json.dumps(conversations(config["chat_template"], tokens)))
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
