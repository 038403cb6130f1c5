"""Durable contexts over HTTP: managed, and gone on from in chats."""

import fcntl
import json
import signal
import unittest

from program import MINI, ProgramTest, environment
from serve_server import Server

# It ends with a letter: the blank line before a question is then a token of its own, whether the
# text before it was encoded with it or not.
BOOK = " ".join(f"The {who} saw the {what} near the old house and went home."
                for who in ("king", "dog", "girl", "boy", "cat", "friend")
                for what in ("tree", "river", "garden", "bird", "light")).rstrip(".")


class Contexts(ProgramTest):
    def setUp(self):
        super().setUp()
        self.store = self.folder / "contexts"
        self.book = self.folder / "book.txt"
        self.book.write_text(BOOK)
        self.context("create", "book", "-m", MINI, "-f", self.book, "--checkpoint-every", 256)
        self.server = Server("--context-dir", self.store)
        self.addCleanup(self.server.stop)

    def context(self, *arguments):
        result = self.succeed("context", *arguments, "--context-dir", self.store, "--json",
                              "--quiet", env=environment())
        return json.loads(result.stdout)

    def chat(self, *messages, status=200, **fields):
        roles = ["user", "assistant"]
        body = {"messages": [{"role": roles[i % 2], "content": text}
                             for i, text in enumerate(messages)],
                "temperature": 0, "max_tokens": 12, "context": "book", **fields}
        got, _, answer = self.server.request("POST", "/v1/chat/completions", body)
        self.assertEqual(got, status, answer)
        return answer

    def test_a_chat_goes_on_from_a_context(self):
        asked = self.context("ask", "book", "Who went home?", "-m", MINI, "-n", 12, "--temp", 0)
        first = self.chat("Who went home?")
        text = first["choices"][0]["message"]["content"]
        self.assertEqual(text, asked["text"])
        usage = first["usage"]
        details = usage["prompt_tokens_details"]
        self.assertEqual(usage["prompt_tokens"], asked["prompt_tokens"])
        self.assertGreaterEqual(details["cached_tokens"], 256)
        # Its answer and a next turn: what a cold chat that begins with the book says.
        more = self.chat("Who went home?", text, "And then?", n=2)
        cold = self.chat(BOOK + "\n\nWho went home?", text, "And then?", context=None)
        for choice in more["choices"]:
            self.assertEqual(choice["message"], cold["choices"][0]["message"])

    def test_responses_go_on_from_a_context(self):
        text = self.chat("Who went home?")["choices"][0]["message"]["content"]
        body = {"context": "book", "input": "Who went home?", "temperature": 0,
                "max_output_tokens": 12}
        status, _, answer = self.server.request("POST", "/v1/responses", body)
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["output"][0]["content"][0]["text"], text)
        self.assertGreaterEqual(answer["usage"]["input_tokens_details"]["cached_tokens"], 256)
        body["context"] = "none"
        self.assertEqual(self.server.request("POST", "/v1/responses", body)[0], 404)

    def test_what_cannot_be_used_is_refused_with_the_reason(self):
        cases = [({"context": "none"}, 404), ({"context": "../book"}, 400),
                 ({"context": 5}, 400)]
        for fields, status in cases:
            with self.subTest(fields):
                self.chat("Hi", status=status, **fields)
        answer = self.chat("Hi", status=400, messages=[{"role": "system", "content": "a"}])
        self.assertEqual(answer["error"]["param"], "messages[0].role")
        self.assertEqual(self.chat("Hi", "Hello", status=400)["error"]["param"], "messages")
        answer = self.chat("word " * 3000, status=400)
        self.assertEqual(answer["error"]["code"], "context_length_exceeded")
        status, _, answer = self.server.request("POST", "/v1/completions",
                                                {"prompt": "a", "context": "book"})
        self.assertEqual((status, answer["error"]["param"]), (400, "context"))
        # A damaged file is found before anything of it is used.
        segment = next((self.store / "book").glob("segment-*"))
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.chmod(0o600)
        segment.write_bytes(data)
        self.assertIn("book", self.chat("Hi", status=400)["error"]["message"])
        self.assertFalse(self.server.request("POST", "/v1/contexts/book/verify")[2]["ok"])

    def test_contexts_are_managed(self):
        status, _, fork = self.server.request("POST", "/v1/contexts/book/fork",
                                              {"name": "part", "at": 100})
        self.assertEqual((status, fork["tokens"]), (200, 100))
        listed = self.server.request("GET", "/v1/contexts")[2]["data"]
        self.assertEqual([c["name"] for c in listed], ["book", "part"])
        cut = self.chat("Hi", context="part")["usage"]
        self.assertEqual(cut["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertTrue(self.server.request("POST", "/v1/contexts/part/verify")[2]["ok"])
        self.assertEqual(self.server.request("DELETE", "/v1/contexts/part")[0], 200)
        self.assertEqual(self.server.request("GET", "/v1/contexts/part")[0], 404)
        self.assertEqual(len(self.context("list")), 1)


class Writing(ProgramTest):
    """Contexts that the server makes are those of the program, byte for byte."""

    def setUp(self):
        super().setUp()
        self.store = self.folder / "contexts"
        self.server = None
        self.start()

    def start(self):
        self.server = Server("--context-dir", self.store, "--checkpoint-every", 256,
                             "--prefill-chunk", 128, "--drain-timeout", 0, context=6144)
        self.addCleanup(self.server.stop)

    def context(self, *arguments):
        result = self.succeed("context", *arguments, "--context-dir", self.store, "--json",
                              "--quiet", env=environment())
        return json.loads(result.stdout)

    def file(self, text):
        path = self.folder / "text.txt"
        path.write_text(text)
        return path

    def post(self, path, **body):
        status, _, answer = self.server.request("POST", "/v1/contexts" + path, body)
        return status, answer

    def assert_same_files(self, one, other):
        """Two contexts whose tokens, pages and states have the same bytes, cut in the same places."""
        one, other = self.context("show", one), self.context("show", other)
        for key in ("tokens", "segments", "checkpoints", "complete", "turn_is_open", "metadata"):
            self.assertEqual(one[key], other[key], key)

    def test_it_is_the_programs(self):
        status, made = self.post("", name="web", text=BOOK, checkpoint_every=256)
        self.assertEqual((status, made["complete"]), (201, True))
        status, again = self.post("", name="web", text=BOOK, checkpoint_every=256)
        nothing = {"cached_tokens": 0, "replayed_tokens": 0, "computed_tokens": 0}
        self.assertEqual((status, again), (200, {**made, "usage": nothing}))
        self.context("create", "book", "-m", MINI, "-f", self.file(BOOK), "--checkpoint-every", 256)
        self.assert_same_files("web", "book")
        more = " " + " ".join(["Then the king slept."] * 70)
        status, grown = self.post("/web/append", text=more)
        self.assertEqual((status, grown["complete"]), (200, True))
        self.assertGreater(grown["tokens"], made["tokens"] + 256)
        self.context("append", "book", "-m", MINI, "-f", self.file(more), "--checkpoint-every", 256)
        self.assert_same_files("web", "book")
        asked = self.context("ask", "web", "Who slept?", "-m", MINI, "-n", 8, "--temp", 0)
        _, _, chat = self.server.request("POST", "/v1/chat/completions", {
            "context": "web", "messages": [{"role": "user", "content": "Who slept?"}],
            "max_tokens": 8, "temperature": 0})
        self.assertEqual(chat["choices"][0]["message"]["content"], asked["text"])
        self.assertGreater(chat["usage"]["prompt_tokens_details"]["cached_tokens"], 512)

    def test_chats_go_on_meanwhile(self):
        question = {"messages": [{"role": "user", "content": "Tell me a story."}],
                    "temperature": 0, "max_tokens": 40, "ignore_eos": True}
        alone = self.server.request("POST", "/v1/chat/completions", question)[2]
        text = " ".join(BOOK for _ in range(8))
        connection, response = self.server.open(
            "POST", "/v1/contexts", {"name": "a", "text": text, "stream": True})
        self.addCleanup(connection.close)
        self.assertEqual(response.status, 200)
        self.assertIn(b"context_progress", response.readline())
        beside = self.server.request("POST", "/v1/chat/completions", question)[2]
        self.assertEqual(beside["choices"], alone["choices"])
        data = [line[6:] for line in response.read().decode().split("\n")
                if line.startswith("data: ")]
        self.assertEqual(data[-1], "[DONE]")
        last = json.loads(data[-2])["context"]
        progress = json.loads(data[-3])["context_progress"]
        self.assertEqual(progress, {"processed": last["tokens"], "total": last["tokens"]})
        self.assertEqual(self.server.metrics()["minimax_requests_total{endpoint=\"/v1/contexts\"}"],
                         1)

    def read_until(self, response, tokens):
        """Reads events until so many tokens are done."""
        for line in response:
            if line.startswith(b"data: "):
                if json.loads(line[6:])["context_progress"]["processed"] >= tokens:
                    return
        self.fail("the stream ended")

    def leave(self, path, body):
        """Sends a request and goes when the first part is done. Returns what is left behind."""
        connection, response = self.server.open("POST", "/v1/contexts" + path,
                                                {**body, "stream": True})
        self.read_until(response, 256)
        response.close()
        connection.close()
        with (self.store / "a" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # waits until it is not being written any more
        return self.server.request("GET", "/v1/contexts/a")[2]

    def test_what_a_client_left_goes_on_where_it_stopped(self):
        text = " ".join(BOOK for _ in range(8))
        half = self.leave("", {"name": "a", "text": text})
        self.assertGreaterEqual(half["tokens"], 256)
        # Of a machine that is busy with something else, the server may be done before it is told.
        status, answer = self.post("", name="a", text=text)
        self.assertEqual(status, 200 if half["complete"] else 201, answer)
        if not half["complete"]:
            self.assertGreaterEqual(answer["usage"]["cached_tokens"], half["tokens"])
        self.context("create", "b", "-m", MINI, "-f", self.file(text), "--checkpoint-every", 256)
        self.assert_same_files("a", "b")

    def test_what_an_ended_server_left_goes_on_in_the_next(self):
        for name, number in (("killed", signal.SIGKILL), ("stopped", signal.SIGTERM)):
            with self.subTest(name):
                text = " ".join([name] + [BOOK for _ in range(8)])  # of none is a part cached
                connection, response = self.server.open(
                    "POST", "/v1/contexts", {"name": name, "text": text, "stream": True})
                self.read_until(response, 512)
                self.server.process.send_signal(number)
                self.server.process.wait(120)
                self.assertEqual(self.server.stop()[0], -9 if number == signal.SIGKILL else 0)
                connection.close()
                self.start()
                half = self.server.request("GET", "/v1/contexts/" + name)[2]
                self.assertGreaterEqual(half["tokens"], 512)
                status, made = self.post("", name=name, text=text)
                self.assertEqual((status, made["complete"]), (200 if half["complete"] else 201, True))
                if not half["complete"]:
                    self.assertEqual(made["usage"]["cached_tokens"], half["tokens"])
                self.assertTrue(self.post(f"/{name}/verify")[1]["ok"])

    def test_what_cannot_be_written(self):
        self.assertEqual(self.post("", name="a", text=BOOK)[0], 201)
        status, answer = self.post("", name="a", text="other")
        self.assertEqual((status, answer["error"]["code"]), (409, "conflict"))
        self.assertEqual(self.post("", name=".a", text=BOOK)[0], 400)
        status, answer = self.post("", name="b", text=" ".join(BOOK for _ in range(20)))
        self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"))
        self.assertIn("6144", answer["error"]["message"])
        with (self.store / "a" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(self.post("/a/append", text="x")[0], 409)
            self.assertEqual(self.server.request("DELETE", "/v1/contexts/a")[0], 409)
        self.assertEqual(self.post("/none/append", text="x")[0], 404)
        self.assertEqual(self.server.request("GET", "/v1/contexts")[2]["data"][0]["complete"], True)


if __name__ == "__main__":
    unittest.main()
