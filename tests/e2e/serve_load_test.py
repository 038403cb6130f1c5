"""Hundreds of streams at once: none fails, none gets another's text, none stands still.

LOAD_TEST_STREAMS and LOAD_TEST_TOKENS make it larger than it is in every run.
"""

import asyncio
import os
import random
import unittest

from serve_client import stream, wait_for_rest
from serve_server import Server

STREAMS = int(os.environ.get("LOAD_TEST_STREAMS", 256))
TOKENS = int(os.environ.get("LOAD_TEST_TOKENS", 24))  # of a stream, in the middle
WORDS = "the a fox dog who was once in her garden saw and had no little friend said".split()


def completion_text(event):
    return event["choices"][0]["text"] if event["choices"] else ""


def chat_text(event):
    return event["choices"][0]["delta"].get("content") or "" if event["choices"] else ""


def message_text(event):
    return event["delta"]["text"] if event["type"] == "content_block_delta" else ""


def response_text(event):
    return event["delta"] if event["type"] == "response.output_text.delta" else ""


def make_request(number):
    """Path, body and how to find the text: each of another prompt, length and seed."""
    chance = random.Random(number)
    words = [chance.choice(WORDS) for _ in range(chance.randrange(3, 60))]
    prompt = f"{number}: {' '.join(words)}"
    most = TOKENS + chance.randrange(-TOKENS // 2, TOKENS // 2 + 1)
    # No temperature of 0: equal draws say that randomness did not cross either.
    common = {"temperature": 1, "top_p": 1, "top_k": 0, "seed": number, "ignore_eos": True}
    turns = [{"role": "user", "content": prompt}]
    return [
        ("/v1/completions", {**common, "prompt": prompt, "max_tokens": most}, completion_text),
        ("/v1/chat/completions", {**common, "messages": turns, "max_tokens": most}, chat_text),
        ("/v1/messages", {**common, "messages": turns, "max_tokens": most}, message_text),
        ("/v1/responses", {**common, "input": prompt, "max_output_tokens": most}, response_text),
    ][number % 4], most


async def run_streams(port, at_once):
    """The texts of all streams."""
    places = asyncio.Semaphore(at_once)

    async def run_one(number):
        (path, body, find_text), _ = make_request(number)
        async with places:
            return "".join([find_text(event) async for _, event in stream(port, path, body)])

    return await asyncio.gather(*(run_one(number) for number in range(STREAMS)))


class ManyStreams(unittest.TestCase):
    def serve(self, *arguments, context):
        server = Server("--max-queue", STREAMS, *arguments, context=context)
        self.addCleanup(server.stop)
        return server

    def test_each_stream_says_what_it_says_alone(self):
        context = 256 + 2 * TOKENS
        crowd = self.serve("--parallel", 256, context=context)
        together = asyncio.run(run_streams(crowd.port, STREAMS))
        after = asyncio.run(wait_for_rest(crowd.port))
        self.assertEqual(after["minimax_generated_tokens_total"],
                         sum(make_request(number)[1] for number in range(STREAMS)))
        self.assertEqual(after['minimax_generations_total{reason="length"}'], STREAMS)
        crowd.stop()
        # With --parallel 1 every stream runs alone, and nothing it could reuse is its own.
        alone = self.serve("--parallel", 1, context=context)
        solo = asyncio.run(run_streams(alone.port, 8))
        for number in range(STREAMS):
            self.assertEqual(together[number], solo[number], f"stream {number}")
        self.assertEqual(len(set(solo)), STREAMS)  # or nothing would show a crossed one


class Stalls(unittest.TestCase):
    """docs/server.md, Many at once: a stream gets a token in every step, of limited size."""

    CHUNK = 128

    async def crowd_out(self, port):
        """A stream; when it has begun, three long prompts; when they are done, it is left."""
        prompts = [" ".join(random.Random(n).choices(WORDS, k=1500)) for n in range(3)]
        begun, done = asyncio.Event(), asyncio.Event()

        async def talk():
            gaps, last = [], None
            body = {"prompt": "Once", "max_tokens": 8000, "ignore_eos": True, "seed": 1}
            async for now, _ in stream(port, "/v1/completions", body):
                gaps += [now - last] if last else []
                last = now
                begun.set()
                if done.is_set():
                    return gaps
            self.fail("the stream ended before the prompts")

        async def prefill(prompt):
            """Tokens of the prompt done, as they were told."""
            await begun.wait()
            body = {"prompt": prompt, "max_tokens": 1, "return_progress": True}
            return [event["prompt_progress"] async for _, event in
                    stream(port, "/v1/completions", body) if "prompt_progress" in event]

        talking = asyncio.create_task(talk())
        steps = await asyncio.gather(*map(prefill, prompts))
        done.set()
        return await talking, steps

    def test_a_stream_goes_on_beside_long_prompts(self):
        server = Server("--parallel", 8, "--prefill-chunk", self.CHUNK, context=8192)
        self.addCleanup(server.stop)
        gaps, prompts = asyncio.run(self.crowd_out(server.port))
        after = asyncio.run(wait_for_rest(server.port))
        # The stream was there from the first step to the last. Each gave it a token, and each of
        # the prompts gave one.
        self.assertEqual(after["minimax_steps_total"],
                         after["minimax_generated_tokens_total"] - len(prompts))
        for progress in prompts:
            total = progress[-1]["total"]
            self.assertGreater(total, 8 * self.CHUNK)
            done = [0] + [p["processed"] for p in progress]
            self.assertEqual(done[-1], total)
            self.assertLess(max(b - a for a, b in zip(done, done[1:])), self.CHUNK)
        self.assertEqual(after["minimax_preemptions_total"], 0)
        self.assertEqual(after["minimax_inter_token_seconds_count"],
                         after["minimax_generated_tokens_total"] - 1 - len(prompts))
        print(f"longest silence of the stream: {1000 * max(gaps):.1f} ms")


if __name__ == "__main__":
    unittest.main()
