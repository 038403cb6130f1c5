"""Anthropic's endpoints of minimax serve, on the bundled model."""

import unittest

from serve_server import ServedTest

STORY = [{"role": "user", "content": "Tell me a story about a dog."}]
ASK = {"messages": STORY, "max_tokens": 16, "temperature": 0}


class Anthropic(ServedTest):
    PARALLEL = 4

    def test_a_message_says_what_a_chat_says(self):
        message = self.post("/v1/messages", **ASK)
        chat = self.post("/v1/chat/completions", **ASK)
        text = chat["choices"][0]["message"]["content"]
        self.assertEqual(message["content"], [{"type": "text", "text": text, "citations": None}])
        self.assertEqual(message["stop_reason"], "max_tokens")
        usage = message["usage"]
        self.assertEqual(usage["input_tokens"] + usage["cache_read_input_tokens"],
                         chat["usage"]["prompt_tokens"])
        self.assertEqual(usage["output_tokens"], 16)

    def test_tokens_are_counted(self):
        count = self.post("/v1/messages/count_tokens", messages=STORY)["input_tokens"]
        chat = self.post("/v1/chat/completions", **ASK)
        self.assertEqual(count, chat["usage"]["prompt_tokens"])

    def test_stops_end_the_text(self):
        text = self.post("/v1/messages", **ASK)["content"][0]["text"]
        stop = text[10:16]
        message = self.post("/v1/messages", stop_sequences=[stop], **ASK)
        self.assertEqual(message["content"][0]["text"], text[: text.index(stop)])
        self.assertEqual((message["stop_reason"], message["stop_sequence"]),
                         ("stop_sequence", stop))

    def test_errors_have_their_form(self):
        status, _, answer = self.server.request("POST", "/v1/messages", {"messages": STORY})
        self.assertEqual((status, answer["type"], answer["error"]["type"]),
                         (400, "error", "invalid_request_error"))
        self.assertIn("max_tokens", answer["error"]["message"])


if __name__ == "__main__":
    unittest.main()
