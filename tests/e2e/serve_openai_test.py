"""OpenAI's endpoints of minimax serve, on the bundled model."""

import concurrent.futures
import json
import math
import socket
import time
import unittest

from program import run
from serve_server import Server, ServedTest

STORY = [{"role": "user", "content": "Tell me a story about a dog."}]
CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
# Room for answers that do not end by themselves while a test looks at them, however slow it is.
ENDLESS = 1 << 17


class OpenAi(ServedTest):
    def chat(self, **body):
        return self.post(CHAT, **{"messages": STORY, "temperature": 0, "max_tokens": 24, **body})

    def stream(self, path=CHAT, **body):
        defaults = {"messages": STORY} if path == CHAT else {}
        return self.server.events(path, {**defaults, "temperature": 0, "max_tokens": 24, **body})

    def test_a_chat_answers_what_run_answers(self):
        answer = self.chat()
        expected = run("run", "-p", STORY[0]["content"], "--temp", "0", "-n", "24", "--json")
        result = json.loads(expected.stdout)
        choice = answer["choices"][0]
        self.assertEqual(choice["message"],
                         {"role": "assistant", "content": result["text"], "refusal": None})
        self.assertEqual(choice["finish_reason"], "length")
        self.assertEqual(answer["object"], "chat.completion")
        self.assertEqual(answer["usage"]["prompt_tokens"], result["prompt_tokens"])
        self.assertEqual(answer["usage"]["completion_tokens"], 24)

    def test_streams_join_to_the_whole(self):
        whole = self.chat(n=2)
        events = self.stream(n=2, stream_options={"include_usage": True})
        self.assertEqual(events[0]["object"], "chat.completion.chunk")
        texts, reasons = ["", ""], [None, None]
        for event in events[:-1]:
            for choice in event["choices"]:
                texts[choice["index"]] += choice["delta"].get("content", "")
                reasons[choice["index"]] = choice["finish_reason"]
        self.assertEqual(texts, [c["message"]["content"] for c in whole["choices"]])
        self.assertEqual(reasons, ["length", "length"])
        self.assertEqual(events[-1]["choices"], [])
        self.assertEqual(events[-1]["usage"]["completion_tokens"], 48)

    def test_seeds_decide(self):
        ask = {"temperature": 1.2, "n": 2}
        texts = lambda a: [c["message"]["content"] for c in a["choices"]]
        first = texts(self.chat(seed=5, **ask))
        self.assertEqual(texts(self.chat(seed=5, **ask)), first)
        self.assertNotEqual(first[0], first[1])
        self.assertEqual(texts(self.chat(seed=6, **ask))[0], first[1])

    def test_stops_end_the_text(self):
        text = self.chat()["choices"][0]["message"]["content"]
        stop = text[20:26]
        choice = self.chat(stop=[stop])["choices"][0]
        self.assertEqual(choice["message"]["content"], text[: text.index(stop)])
        self.assertEqual(choice["finish_reason"], "stop")

    def test_logprobs_of_greedy_tokens_are_the_best(self):
        choice = self.chat(logprobs=True, top_logprobs=3, max_tokens=8)["choices"][0]
        tokens = choice["logprobs"]["content"]
        self.assertEqual(len(tokens), 8)
        self.assertEqual(b"".join(bytes(t["bytes"]) for t in tokens).decode(),
                         choice["message"]["content"])
        for token in tokens:
            self.assertEqual(token["top_logprobs"][0]["token"], token["token"])
            ranks = [t["logprob"] for t in token["top_logprobs"]]
            self.assertEqual(ranks, sorted(ranks, reverse=True))
            self.assertLessEqual(sum(map(math.exp, ranks)), 1 + 1e-5)
        streamed = [t for e in self.stream(logprobs=True, top_logprobs=3, max_tokens=8)
                    for c in e["choices"] if c["logprobs"] for t in c["logprobs"]["content"]]
        self.assertEqual(streamed, tokens)

    def test_biases_ban(self):
        first = self.chat(logprobs=True, max_tokens=1)["choices"][0]["logprobs"]["content"][0]
        ids = self.post("/tokenize", content=first["token"])["tokens"]
        self.assertEqual(len(ids), 1)
        other = self.chat(max_tokens=1, logit_bias={ids[0]: -100})["choices"][0]["message"]
        self.assertNotEqual(other["content"], first["token"])

    def test_prefixes_are_reused_and_told(self):
        prompt = "Once upon a time there was a small house. " * 12
        cold = self.post(TEXT, prompt=prompt, temperature=0)
        warm = self.post(TEXT, prompt=prompt, temperature=0)
        self.assertEqual(cold["choices"][0]["text"], warm["choices"][0]["text"])
        self.assertGreaterEqual(warm["usage"]["prompt_tokens_details"]["cached_tokens"], 64)
        self.assertIn("replayed_tokens", warm["usage"]["prompt_tokens_details"])

    def test_progress_is_told_when_asked_for(self):
        prompt = "The bird and the tree talked about rain. " * 12
        events = self.stream(TEXT, prompt=prompt, return_progress=True, max_tokens=2)
        progress = [e["prompt_progress"] for e in events if "prompt_progress" in e]
        self.assertEqual(progress[-1]["processed"], progress[-1]["total"])
        self.assertFalse(any("prompt_progress" in e
                             for e in self.stream(TEXT, prompt=prompt, max_tokens=2)))

    def test_completions_take_text_and_ids(self):
        text = "Once upon a time"
        ids = self.post("/tokenize", content=text)["tokens"]
        one = self.post(TEXT, prompt=text, temperature=0)
        self.assertEqual(one["usage"]["completion_tokens"], 16)
        self.assertEqual(one["object"], "text_completion")
        self.assertEqual(self.post(TEXT, prompt=ids, temperature=0)["choices"], one["choices"])
        many = self.post(TEXT, prompt=[text, "The sun"], n=2, temperature=0)
        self.assertEqual([c["index"] for c in many["choices"]], [0, 1, 2, 3])
        self.assertEqual(many["choices"][1]["text"], one["choices"][0]["text"])
        scored = self.post(TEXT, prompt=text, temperature=0, logprobs=2, max_tokens=4)
        logprobs = scored["choices"][0]["logprobs"]
        self.assertEqual("".join(logprobs["tokens"]), scored["choices"][0]["text"])
        self.assertEqual(logprobs["text_offset"][0], 0)
        self.assertEqual([len(t) for t in logprobs["top_logprobs"]], [2] * 4)

    def test_tokens_and_templates(self):
        pieces = self.post("/tokenize", content="Hello there", with_pieces=True)["tokens"]
        self.assertEqual("".join(p["piece"] for p in pieces), "Hello there")
        ids = [p["id"] for p in pieces]
        self.assertEqual(self.post("/detokenize", tokens=ids), {"content": "Hello there"})
        prompt = self.post("/apply-template", messages=STORY)["prompt"]
        self.assertIn(STORY[0]["content"], prompt)
        parts = [{"type": "text", "text": t} for t in ("Tell me a ", "story about a dog.")]
        self.assertEqual(
            self.post("/apply-template", messages=[{"role": "user", "content": parts}])["prompt"],
            prompt)

    def test_a_response_says_what_a_chat_says(self):
        ask = {"input": STORY[0]["content"], "temperature": 0, "max_output_tokens": 24}
        chat = self.chat()
        response = self.post("/v1/responses", **ask)
        self.assertEqual((response["object"], response["status"]), ("response", "incomplete"))
        self.assertEqual(response["output"][0]["content"][0]["text"],
                         chat["choices"][0]["message"]["content"])
        self.assertEqual(response["usage"]["input_tokens"], chat["usage"]["prompt_tokens"])
        self.assertEqual(response["usage"]["output_tokens"], 24)
        events = self.server.events("/v1/responses", ask)
        self.assertEqual(events[-1]["type"], "response.incomplete")
        self.assertEqual("".join(e["delta"] for e in events if e["type"].endswith(".delta")),
                         response["output"][0]["content"][0]["text"])
        # Its output is the input of the next turn, as a chat's messages are.
        more = self.post("/v1/responses", **{**ask, "input": [
            *STORY, *response["output"], {"role": "user", "content": "And then?"}]})
        turns = [*STORY, chat["choices"][0]["message"], {"role": "user", "content": "And then?"}]
        self.assertEqual(more["output"][0]["content"][0]["text"],
                         self.chat(messages=turns)["choices"][0]["message"]["content"])

    def test_wrong_requests_are_refused_by_name(self):
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]
        cases = [
            (CHAT, "", None), (CHAT, "{", None), (CHAT, "[]", None), (CHAT, b"\xff\xfe", None),
            (CHAT, "[" * 10000, None),
            (CHAT, {}, "messages"), (CHAT, {"messages": []}, "messages"),
            (CHAT, {"messages": "hi"}, "messages"), (CHAT, {"messages": [1]}, "messages[0]"),
            (CHAT, {"messages": [{"role": "user"}]}, "messages[0].content"),
            (CHAT, {"messages": [{"role": "king", "content": ""}]}, "messages[0].role"),
            (CHAT, {"messages": image}, "messages[0].content[0].type"),
            (CHAT, {"messages": STORY, "temperature": "hot"}, "temperature"),
            (CHAT, {"messages": STORY, "top_logprobs": 2}, "top_logprobs"),
            (CHAT, {"messages": STORY, "tools": [{"type": "function"}]}, "tools[0].function"),
            (CHAT, {"messages": STORY, "tools": [{"function": {"name": "f"}}]}, "tools"),
            (CHAT, {"messages": STORY, "response_format": {"type": "yaml"}},
             "response_format.type"),
            (TEXT, {}, "prompt"), (TEXT, {"prompt": 5}, "prompt"), (TEXT, {"prompt": []}, "prompt"),
            (TEXT, {"prompt": [10 ** 9]}, "prompt"), (TEXT, {"prompt": "a", "echo": True}, "echo"),
            (CHAT, {"messages": STORY, "context": "book"}, "context"),
            (TEXT, {"prompt": "a", "context": "book"}, "context"),
            ("/v1/responses", {}, "input"),
            ("/v1/responses", {"input": "a", "previous_response_id": "b"}, "previous_response_id"),
            ("/tokenize", {}, "content"), ("/detokenize", {"tokens": [-1]}, "tokens"),
        ]
        for path, body, field in cases:
            with self.subTest(body=body):
                status, _, answer = self.server.request("POST", path, body)
                self.assertEqual(status, 400)
                self.assertEqual(answer["error"]["param"], field, answer)
        status, _, answer = self.server.request("POST", CHAT, {"messages": STORY, "model": "x"})
        self.assertEqual((status, answer["error"]["code"]), (404, "model_not_found"))

    def test_a_prompt_over_the_context_is_refused_with_both_numbers(self):
        for stream in [False, True]:
            status, _, answer = self.server.request(
                "POST", TEXT, {"prompt": [5] * 3000, "stream": stream})
            self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"))
            self.assertIn("2048", answer["error"]["message"])
            self.assertIn("3000", answer["error"]["message"])

    def test_streams_together_equal_those_alone(self):
        def ask(i):
            events = self.stream(messages=[{"role": "user", "content": f"Tell me about {i} dogs."}],
                                 temperature=0.9, seed=i, max_tokens=16)
            return "".join(c["delta"].get("content", "") for e in events for c in e["choices"])
        alone = [ask(i) for i in range(32)]
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            self.assertEqual(list(pool.map(ask, range(32))), alone)


class Load(unittest.TestCase):
    def wait_until(self, server, condition):
        """Polls the metrics; an hour of a stuck server ends by the test's own time limit."""
        while not condition(server.metrics()):
            time.sleep(0.05)

    def test_a_client_that_goes_gives_all_pages_back(self):
        server = Server("--parallel", 2, context=ENDLESS)
        self.addCleanup(server.stop)
        for number, stream in enumerate([True, False]):
            data = json.dumps({"messages": STORY, "ignore_eos": True, "n": 2,
                               "stream": stream}).encode()
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(data) + data)
                self.wait_until(server, lambda m: m["minimax_sequences_running"] == 2)
            cancelled = 'minimax_generations_total{reason="cancelled"}'
            self.wait_until(server, lambda m: m.get(cancelled, 0) == 2 * (number + 1))
        after = server.metrics()
        self.assertEqual(after["minimax_sequences_running"], 0)
        self.assertEqual(after["minimax_kv_pages"] - after["minimax_kv_pages_free"],
                         after["minimax_kv_pages_cached"])

    def test_a_full_queue_is_said(self):
        server = Server("--parallel", 1, "--max-queue", 1, context=ENDLESS)
        self.addCleanup(server.stop)
        endless = {"messages": STORY, "ignore_eos": True, "stream": True}
        held = [server.open("POST", CHAT, endless)]
        status, headers, answer = server.request("POST", CHAT, {"messages": STORY, "n": 2})
        self.assertEqual((status, answer["error"]["code"]), (429, "queue_full"))
        self.assertIsNotNone(headers["Retry-After"])
        for connection, response in held:
            response.close()
            connection.close()

    def test_sigterm_lets_answers_end(self):
        server = Server()
        connection, response = server.open(
            "POST", CHAT, {"messages": STORY, "ignore_eos": True, "max_tokens": 64, "stream": True})
        first = response.readline()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(server.stop)
            text = (first + response.read()).decode()
            self.assertTrue(text.endswith("data: [DONE]\n\n"), text[-200:])
            self.assertIn('"finish_reason":"length"', text)
            connection.close()
            code, log = stopped.result()
        self.assertEqual(code, 0)
        self.assertNotIn("dog", log)


if __name__ == "__main__":
    unittest.main()
