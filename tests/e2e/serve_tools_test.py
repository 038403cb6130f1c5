"""Tools of minimax serve: calls that tool_choice demands, in all APIs, and what comes after them."""

import json
import re
import tempfile
import unittest
from pathlib import Path

from serve_server import Server
from tool_model import make_tool_model

ASK = [{"role": "user", "content": "What is the weather in Oslo?"}]
CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
DOCS = Path(__file__).resolve().parents[2] / "docs/server.md"
SCHEMAS = {
    "get_weather": {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo", "Paris", "})\n```"]},
                       "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["city"],
    },
    "take_note": {
        "type": "object",
        "properties": {"note": {"type": "string", "maxLength": 12}, "urgent": {"type": "boolean"}},
        "required": ["note", "urgent"],
    },
    "now": None,
}
BAD = {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 2}}}


def chat_tools(schemas=SCHEMAS):
    return [{"type": "function", "function": {"name": n, **({"parameters": s} if s else {})}}
            for n, s in schemas.items()]


def response_tools(schemas=SCHEMAS):
    return [{"type": "function", **t["function"]} for t in chat_tools(schemas)]


def message_tools(schemas=SCHEMAS):
    return [{"name": n, "input_schema": s or {"type": "object", "properties": {}}}
            for n, s in schemas.items()]


class Calls:
    """What holds whatever the model's template; mixed into one class a model."""

    model = None  # a form of tool_model; None: the bundled model
    server = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        options = {"model": make_tool_model(f"{folder.name}/m", cls.model)} if cls.model else {}
        cls.server = Server("--parallel", 8, **options)
        cls.addClassCleanup(cls.server.stop)

    def post(self, path, status=200, **body):
        got, _, answer = self.server.request("POST", path, body)
        self.assertEqual(got, status, answer)
        return answer

    def chat(self, **body):
        return self.post(CHAT, **self.chat_body(**body))

    @staticmethod
    def chat_body(**body):
        return {"messages": ASK, "tools": chat_tools(), "tool_choice": "required",
                "temperature": 1, "seed": 1, "max_tokens": 600, **body}

    def check_call(self, name, value):
        """The schemas, keyword by keyword: the standard library has no validator."""
        self.assertIs(type(value), dict)
        if name == "get_weather":
            self.assertIn(value["city"], SCHEMAS[name]["properties"]["city"]["enum"])
            self.assertIn(value.get("days", 1), range(1, 10))
            self.assertLessEqual(set(value), {"city", "days"})
        elif name == "take_note":
            self.assertEqual(set(value), {"note", "urgent"})
            self.assertLessEqual(len(value["note"]), 12)
            self.assertIs(type(value["urgent"]), bool)
        else:
            self.assertEqual((name, value), ("now", {}))

    def check_choice(self, choice, reason="tool_calls"):
        """Calls and nothing else; their names and arguments."""
        self.assertEqual(choice["finish_reason"], reason)
        message = choice["message"]
        self.assertIsNone(message["content"])
        self.assertNotIn("reasoning_content", message)
        calls = message["tool_calls"]
        self.assertGreaterEqual(len(calls), 1)
        self.assertEqual(len({c["id"] for c in calls}), len(calls))
        for call in calls:
            self.assertEqual(call["type"], "function")
            self.check_call(call["function"]["name"], json.loads(call["function"]["arguments"]))
        return [(c["function"]["name"], c["function"]["arguments"]) for c in calls]

    def stream(self, **body):
        """Calls by choice, and the reasons of their ends."""
        calls, reasons = {}, {}
        for event in self.server.events(CHAT, self.chat_body(**body)):
            for choice in event["choices"]:
                self.assertFalse(choice["delta"].get("content"))
                of_choice = calls.setdefault(choice["index"], [])
                for call in choice["delta"].get("tool_calls", []):
                    self.assertEqual(call["index"], len(of_choice))
                    of_choice.append((call["function"]["name"], call["function"]["arguments"]))
                reasons[choice["index"]] = choice["finish_reason"]
        return [calls[i] for i in sorted(calls)], [reasons[i] for i in sorted(reasons)]

    def test_required_is_at_least_one_call_and_streams_join_to_the_whole(self):
        whole = [self.check_choice(c) for c in self.chat(n=6)["choices"]]
        self.assertGreater(len({str(calls) for calls in whole}), 1)
        self.assertEqual(self.stream(n=6), (whole, ["tool_calls"] * 6))

    def test_without_parallel_calls_it_is_one(self):
        whole = [self.check_choice(c) for c in self.chat(n=6, parallel_tool_calls=False)["choices"]]
        self.assertEqual([len(calls) for calls in whole], [1] * 6)
        self.assertEqual(self.stream(n=6, parallel_tool_calls=False),
                         (whole, ["tool_calls"] * 6))

    def test_a_named_function_is_called_once(self):
        for name in SCHEMAS:
            ask = {"tool_choice": {"type": "function", "function": {"name": name}}, "n": 2}
            whole = [self.check_choice(c, "stop") for c in self.chat(**ask)["choices"]]
            self.assertEqual([[n for n, _ in calls] for calls in whole], [[name]] * 2)
            self.assertEqual(self.stream(**ask), (whole, ["stop"] * 2))

    def test_responses(self):
        ask = {"input": ASK, "tools": response_tools(), "temperature": 1, "seed": 3,
               "max_output_tokens": 600}
        for choice in ["required", {"type": "function", "name": "take_note"}]:
            response = self.post(RESPONSES, **ask, tool_choice=choice)
            self.assertEqual((response["status"], response["tool_choice"]), ("completed", choice))
            self.assertGreaterEqual(len(response["output"]), 1)
            for item in response["output"]:
                self.assertEqual((item["type"], item["status"]), ("function_call", "completed"))
                self.check_call(item["name"], json.loads(item["arguments"]))
            if choice != "required":
                self.assertEqual([i["name"] for i in response["output"]], ["take_note"])
            events = self.server.events(RESPONSES, {**ask, "tool_choice": choice})
            self.assertEqual(events[-1]["type"], "response.completed")
            self.assertEqual([(e["item"]["name"], e["item"]["arguments"]) for e in events
                              if e["type"] == "response.output_item.done"],
                             [(i["name"], i["arguments"]) for i in response["output"]])

    def message_events(self, body):
        _, _, text = self.server.request("POST", MESSAGES, {**body, "stream": True})
        return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]

    def test_messages(self):
        ask = {"messages": ASK, "tools": message_tools(), "temperature": 1, "seed": 4,
               "max_tokens": 600}
        for choice in [{"type": "any"}, {"type": "any", "disable_parallel_tool_use": True},
                       {"type": "tool", "name": "now"}]:
            body = {**ask, "tool_choice": choice}
            message = self.post(MESSAGES, **body)
            self.assertEqual(message["stop_reason"], "tool_use")
            self.assertGreaterEqual(len(message["content"]), 1)
            for block in message["content"]:
                self.assertEqual(block["type"], "tool_use")
                self.check_call(block["name"], block["input"])
            if choice != {"type": "any"}:
                self.assertEqual(len(message["content"]), 1)
            if "name" in choice:
                self.assertEqual(message["content"][0]["name"], "now")
            count = self.post(MESSAGES + "/count_tokens", **{**body, "max_tokens": None})
            self.assertEqual(message["usage"]["input_tokens"]
                             + message["usage"]["cache_read_input_tokens"], count["input_tokens"])
            events = self.message_events(body)
            names = [e["content_block"]["name"] for e in events
                     if e["type"] == "content_block_start"]
            inputs = [json.loads(e["delta"]["partial_json"]) for e in events
                      if e["type"] == "content_block_delta"]
            self.assertEqual(list(zip(names, inputs)),
                             [(b["name"], b["input"]) for b in message["content"]])
            self.assertEqual(events[-2]["delta"]["stop_reason"], "tool_use")

    def test_a_limit_within_a_call_leaves_its_beginning_as_content(self):
        choice = self.chat(max_tokens=3)["choices"][0]
        self.assertEqual(choice["finish_reason"], "length")
        self.assertNotIn("tool_calls", choice["message"])
        self.assertRegex(choice["message"]["content"], r'^(\{"n|fun)')

    def test_what_cannot_be_kept_is_refused_by_name(self):
        tools = {**SCHEMAS, "bad": BAD}
        cases = [(CHAT, {"messages": ASK, "tools": chat_tools(tools), "tool_choice": "required"},
                  "tools[3].function.parameters"),
                 (RESPONSES, {"input": ASK, "tools": response_tools(tools),
                              "tool_choice": "required"}, "tools[3].parameters")]
        for path, body, field in cases:
            for stream in [False, True]:
                error = self.post(path, 400, **body, stream=stream)["error"]
                self.assertEqual(error["param"], field)
                for words in ["'bad'", "/properties/a", '"multipleOf"']:
                    self.assertIn(words, error["message"])
        error = self.post(MESSAGES, 400, messages=ASK, max_tokens=9, tools=message_tools(tools),
                          tool_choice={"type": "any"})["error"]
        self.assertIn("tools[3].input_schema", error["message"])
        # One that can be called keeps its own schema alone.
        self.check_choice(self.chat(tools=chat_tools(tools), tool_choice={
            "type": "function", "function": {"name": "now"}})["choices"][0], "stop")
        form = {"type": "json_object"}
        error = self.post(CHAT, 400, **self.chat_body(response_format=form))["error"]
        self.assertEqual(error["param"], "response_format")
        self.assertEqual(self.post(CHAT, 400, **self.chat_body(tools=[]))["error"]["param"],
                         "tool_choice")
        other = {"type": "function", "function": {"name": "other"}}
        self.assertEqual(self.post(CHAT, 400, **self.chat_body(tool_choice=other))["error"]["param"],
                         "tool_choice")


class Bundled(Calls, unittest.TestCase):
    """A template without a place for tools."""

    def test_other_tools_than_those_demanded_are_refused(self):
        error = self.post(CHAT, 400, **self.chat_body(tool_choice="auto"))["error"]
        self.assertEqual((error["param"], error["code"]), ("tools", "unsupported"))
        answer = self.chat(tool_choice="none", max_tokens=4)
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")

    def test_the_example_of_the_docs(self):
        found = re.search(r"-d '(\{[^']*\"tool_choice\"[^']*\})'", DOCS.read_text())
        self.assertIsNotNone(found)
        choice = self.post(CHAT, **json.loads(found.group(1)))["choices"][0]
        self.assertEqual(choice["finish_reason"], "tool_calls")
        self.assertEqual(choice["message"]["tool_calls"][0]["function"]["name"], "get_weather")


class WithPlace(Calls):
    """A template that tells the model of tools."""

    def test_results_go_back_to_the_model(self):
        message = self.chat()["choices"][0]["message"]
        results = [{"role": "tool", "tool_call_id": c["id"], "content": '{"celsius": 3}'}
                   for c in message["tool_calls"]]
        answer = self.chat(messages=[*ASK, message, *results], tool_choice="auto", max_tokens=8)
        self.assertIn(answer["choices"][0]["finish_reason"], ["stop", "length"])
        prompt = self.post("/apply-template", messages=[*ASK, message, *results],
                           tools=chat_tools())["prompt"]
        self.assertEqual(prompt.count('{"celsius": 3}'), len(results))
        # What was generated is the beginning of what the next turn renders, and so is cached.
        begun = self.post("/apply-template", messages=ASK, tools=chat_tools(),
                          tool_choice="required")["prompt"]
        if self.model == "m1":
            self.assertTrue(prompt.startswith(begun), (prompt, begun))
        self.assertRegex(begun, r"(<tool_calls>|```typescript)\n$")

    def test_auto_leaves_the_model_free(self):
        choice = self.chat(tool_choice="auto", tools=chat_tools({"bad": BAD}),
                           max_tokens=8)["choices"][0]
        self.assertTrue(choice["message"]["content"])


class M1(WithPlace, unittest.TestCase):
    model = "m1"


class Text01(WithPlace, unittest.TestCase):
    model = "text01"


if __name__ == "__main__":
    unittest.main()
