"""Durable contexts over HTTP: managed, and gone on from in chats."""

import json
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


if __name__ == "__main__":
    unittest.main()
