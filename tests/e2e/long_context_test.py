"""A context of 32 K tokens, created and asked within a memory bound."""

import resource
import time
import unittest

from context_test import ContextTest, story


class Long(ContextTest):
    TOKENS = 32768
    # Weights, workspace and program 128 MB; then 512 bytes of keys and values per token in the cache,
    # and as much in the files that are mapped; a state of 1.8 MB per checkpoint in both.
    MEMORY_MB = 128 + 2 * 16 + 2 * 17

    def measured(self, *arguments, **options):
        """The program's JSON and the most memory it held, in MB."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        result = self.json(*arguments, **options)
        return result, max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024

    def test_thirty_two_thousand_tokens(self):
        self.book.write_text(story(33000, 1))
        made, memory = self.measured("create", "book", "-f", self.book, timeout=600)
        self.assertGreater(made["tokens"], self.TOKENS)
        self.assertLess(memory, self.MEMORY_MB)
        started = time.time()
        answer = self.ask("book")
        self.assertLess(time.time() - started, made["seconds"])
        self.assertGreater(answer["cached_tokens"], made["tokens"] - 65)
        # The bound of 1 % is measured on an idle machine; tests share theirs.
        self.assertLess(answer["timings"]["first_token_seconds"], 0.1 * made["seconds"])


if __name__ == "__main__":
    unittest.main()
