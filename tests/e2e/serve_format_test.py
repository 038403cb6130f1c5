"""Answers of a format: response_format, text.format and grammar of minimax serve."""

import json
import re
import unittest
from pathlib import Path

from serve_server import ServedTest

STORY = [{"role": "user", "content": "Tell me about a dog."}]
CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
RESPONSES = "/v1/responses"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "legs": {"type": "integer", "minimum": 0, "maximum": 8},
        "kind": {"enum": ["cat", "dog"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["name", "legs", "kind"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema",
          "json_schema": {"name": "animal", "strict": True, "schema": SCHEMA}}
BAD = {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 2}}}
DOCS = Path(__file__).resolve().parents[2] / "docs/server.md"


class Format(ServedTest):
    def chat(self, **body):
        return self.post(CHAT, **{"messages": STORY, "response_format": FORMAT, "temperature": 1.5,
                                  "seed": 1, "max_tokens": 400, **body})

    def check_animal(self, text):
        """The schema, keyword by keyword: the standard library has no validator."""
        value = json.loads(text)
        self.assertIs(type(value), dict)
        self.assertLessEqual({"name", "legs", "kind"}, set(value))
        self.assertLessEqual(set(value), set(SCHEMA["properties"]))
        self.assertIs(type(value["name"]), str)
        self.assertLessEqual(len(value["name"]), 12)
        self.assertIs(type(value["legs"]), int)
        self.assertIn(value["legs"], range(9))
        self.assertIn(value["kind"], ["cat", "dog"])
        tags = value.get("tags", [])
        self.assertIs(type(tags), list)
        self.assertLessEqual(len(tags), 3)
        self.assertTrue(all(type(tag) is bool for tag in tags))

    def test_whole_answers_fit_the_schema(self):
        answer = self.chat(n=6)
        for choice in answer["choices"]:
            self.assertEqual(choice["finish_reason"], "stop")
            self.check_animal(choice["message"]["content"])
        self.assertGreater(len({c["message"]["content"] for c in answer["choices"]}), 1)
        self.check_animal(self.chat(temperature=0)["choices"][0]["message"]["content"])

    def test_streams_join_to_the_whole(self):
        whole = self.chat(n=2)
        events = self.server.events(CHAT, {
            "messages": STORY, "response_format": FORMAT, "temperature": 1.5, "seed": 1,
            "max_tokens": 400, "n": 2, "stream_options": {"include_usage": True}})
        texts = ["", ""]
        for event in events[:-1]:
            for choice in event["choices"]:
                texts[choice["index"]] += choice["delta"].get("content", "")
        self.assertEqual(texts, [c["message"]["content"] for c in whole["choices"]])
        for text in texts:
            self.check_animal(text)
        for name in ["prompt_tokens", "completion_tokens", "total_tokens"]:
            self.assertEqual(events[-1]["usage"][name], whole["usage"][name])

    def test_tokens_and_usage_are_those_of_the_text(self):
        answer = self.chat(logprobs=True, top_logprobs=1)
        choice = answer["choices"][0]
        tokens = choice["logprobs"]["content"]
        self.assertEqual(b"".join(bytes(t["bytes"]) for t in tokens).decode(),
                         choice["message"]["content"])
        self.assertEqual(answer["usage"]["completion_tokens"], len(tokens))

    def test_a_response_fits_the_schema(self):
        ask = {"input": STORY[0]["content"], "temperature": 1.5, "seed": 2,
               "max_output_tokens": 400,
               "text": {"format": {"type": "json_schema", "name": "animal", "schema": SCHEMA}}}
        response = self.post(RESPONSES, **ask)
        self.assertEqual(response["status"], "completed")
        self.assertEqual(response["text"], ask["text"])
        text = response["output"][0]["content"][0]["text"]
        self.check_animal(text)
        events = self.server.events(RESPONSES, ask)
        self.assertEqual("".join(e["delta"] for e in events if e["type"].endswith(".delta")), text)

    def test_a_completion_fits_the_schema(self):
        answer = self.post(TEXT, prompt=["A dog:", "A cat:"], n=2, temperature=1.5, seed=3,
                           max_tokens=400, response_format=FORMAT)
        self.assertEqual(len(answer["choices"]), 4)
        for choice in answer["choices"]:
            self.check_animal(choice["text"])

    def test_any_json_object(self):
        answer = self.chat(response_format={"type": "json_object"}, n=8, max_tokens=200)
        for choice in answer["choices"]:
            text = choice["message"]["content"]
            self.assertEqual(text[0], "{")
            if choice["finish_reason"] == "stop":
                self.assertIs(type(json.loads(text)), dict)

    def test_grammars(self):
        ask = {"response_format": None, "grammar": 'root ::= ("yes" | "no") "!"{2}', "n": 4}
        for choice in self.chat(**ask)["choices"]:
            self.assertIn(choice["message"]["content"], ["yes!!", "no!!"])
            self.assertEqual(choice["finish_reason"], "stop")
        response = self.post(RESPONSES, input="Is it?", grammar='root ::= "<think>" [ab]')
        self.assertRegex(response["output"][0]["content"][0]["text"], "^<think>[ab]$")

    def test_bans_and_stops_do_not_break_it(self):
        ids = self.post("/tokenize", content="yes")["tokens"]
        answer = self.chat(response_format=None, grammar='root ::= "yes"',
                           logit_bias={i: -100 for i in range(4, 2000)} | {ids[0]: -100})
        self.assertEqual(answer["choices"][0]["message"]["content"], "yes")
        choice = self.chat(stop=['"legs"'])["choices"][0]
        self.assertEqual(choice["finish_reason"], "stop")
        self.assertRegex(choice["message"]["content"], r'^\{\s*"name"')
        self.assertNotIn('"legs"', choice["message"]["content"])

    def test_a_limit_leaves_the_beginning(self):
        whole = self.chat()["choices"][0]["message"]["content"]
        cut = self.chat(max_tokens=5)["choices"][0]
        self.assertEqual(cut["finish_reason"], "length")
        self.assertTrue(whole.startswith(cut["message"]["content"]))

    def test_wrong_formats_are_refused_by_name(self):
        bad = {"type": "json_schema", "json_schema": {"name": "a", "schema": BAD}}
        cases = [
            (CHAT, {"messages": STORY, "response_format": bad}, "response_format"),
            (TEXT, {"prompt": "a", "response_format": bad}, "response_format"),
            (RESPONSES, {"input": "a", "text": {"format": {"type": "json_schema", "schema": BAD}}},
             "text.format.schema"),
        ]
        for path, body, field in cases:
            for stream in [False, True]:
                status, _, answer = self.server.request("POST", path, {**body, "stream": stream})
                self.assertEqual((status, answer["error"]["param"]), (400, field), answer)
                self.assertEqual(answer["error"]["code"], "invalid_json_schema")
                self.assertIn("/properties/a", answer["error"]["message"])
                self.assertIn('"multipleOf"', answer["error"]["message"])
        status, _, answer = self.server.request(
            "POST", CHAT, {"messages": STORY, "grammar": "root ::= ("})
        self.assertEqual((status, answer["error"]["param"]), (400, "grammar"))
        # All seats were given back.
        self.check_animal(self.chat(n=8)["choices"][0]["message"]["content"])

    def test_the_example_of_the_docs(self):
        found = re.search(r"-d '(\{[^']*response_format[^']*\})'", DOCS.read_text())
        self.assertIsNotNone(found)
        answer = self.post(CHAT, **json.loads(found.group(1)))
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
        value = json.loads(answer["choices"][0]["message"]["content"])
        self.assertEqual(set(value), {"name", "legs"})


if __name__ == "__main__":
    unittest.main()
