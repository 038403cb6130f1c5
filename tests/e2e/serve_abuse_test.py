"""Clients that send nonsense, are slow, leave, or send too much: the server outlives them all, and
gets everything back that they held.

ABUSE_TEST_REQUESTS and ABUSE_TEST_ABORTS make it larger or smaller than it is in every run.
"""

import asyncio
import os
import pathlib
import random
import time
import unittest

from program import ProgramTest
from serve_client import (Connection, encode, metrics, read_answer, read_head, read_pieces, request,
                          wait_for_rest)
from serve_garbage import make_case
from serve_server import Server

REQUESTS = int(os.environ.get("ABUSE_TEST_REQUESTS", 10_000))
SANITIZED = bool(os.environ.get("TEST_SANITIZER"))
ABORTS = int(os.environ.get("ABUSE_TEST_ABORTS", 200 if SANITIZED else 1000))
PATIENCE = 120  # seconds: an answer that takes longer on any machine is no answer
# A leak of 1 KB a request would be 5 MB in the second half of 10,000. What the allocator keeps for
# the largest requests, of which several came together by chance in the first half, is far less.
MOST_GROWTH = 4 << 20
PROMPT = {"prompt": "Once upon a time", "max_tokens": 20, "seed": 7, "temperature": 1}


async def say(port):
    """A text that a server in good health always says the same."""
    return (await request(port, "POST", "/v1/completions", PROMPT)).json()["choices"][0]["text"]


async def wait_for_connections(port):
    """Until all connections but the one that asks are gone."""
    end = time.monotonic() + PATIENCE
    while (await metrics(port))["minimax_connections"] > 1:
        assert time.monotonic() < end, "connections are left open"
        await asyncio.sleep(0.05)


def resident_bytes(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


async def read_all(connection):
    """Every answer until the server closes."""
    answers = []
    while (answer := await read_answer(connection.reader)) is not None:
        answers.append(answer)
    return answers


async def at_once(count, jobs):
    """Runs all, `count` at a time."""
    places = asyncio.Semaphore(count)

    async def run_one(job):
        async with places:
            return await job

    return await asyncio.gather(*map(run_one, jobs))


class Garbage(ProgramTest):
    maxDiff = None

    async def send_one(self, port, case):
        """What was wrong with the answers to a case; empty: nothing."""
        what, data, ends, expected = case
        async with Connection(port) as c:
            try:
                c.writer.write(data)
                await c.writer.drain()
                if ends:
                    c.writer.write_eof()
            except ConnectionError:
                pass  # refused before all was sent
            try:
                answers = await asyncio.wait_for(read_all(c), PATIENCE)
            except (OSError, EOFError, asyncio.TimeoutError) as error:
                return f"{what}: {error!r}"
        statuses = [answer.status for answer in answers]
        good = len(expected) - 1
        refused = len(statuses) == good + 1 and 400 <= statuses[-1] < 500
        if expected == ("any",):
            fits = all(status < 500 for status in statuses)
        elif refused:
            error = answers[-1].json()["error"]
            fits = statuses[:good] == list(expected[:good]) and error["message"]
        else:  # closed without a word
            fits = ends and statuses == list(expected[:good])
        return "" if fits else f"{what}: {statuses}"

    def test_garbage_is_refused_and_costs_nothing(self):
        server = Server("--context-dir", self.folder, "--parallel", 4, context=512)
        self.addCleanup(server.stop)
        chance = random.Random(20260101)
        before = asyncio.run(say(server.port))
        parts, sizes = 10, []
        for _ in range(parts):
            cases = [make_case(chance) for _ in range(REQUESTS // parts)]
            wrong = asyncio.run(at_once(32, [self.send_one(server.port, case) for case in cases]))
            self.assertEqual([problem for problem in wrong if problem], [])
            sizes.append(resident_bytes(server))
        growth = sizes[-1] - sizes[parts // 2 - 1]
        print(f"{REQUESTS} requests; resident MiB:", *(f"{size / 2**20:.1f}" for size in sizes))
        if not SANITIZED:  # a sanitizer keeps what was freed
            self.assertLess(growth, MOST_GROWTH)
        asyncio.run(wait_for_rest(server.port))
        self.assertEqual(asyncio.run(say(server.port)), before)
        code, log = server.stop()
        self.assertEqual(code, 0)
        self.assertNotIn("error:", log)


class Leaving(ProgramTest):
    """Clients that go at any moment."""

    def bodies(self, chance):
        """Requests that would take long, of every kind that holds something."""
        words = " ".join(chance.choices(["fox", "dog", "once", "garden", "little"], k=250))
        number = chance.randrange(1 << 30)
        schema = {"type": "object", "required": ["a"],
                  "properties": {"a": {"type": "string", "minLength": 1 + number % 50,
                                       "description": str(number)}}}
        common = {"max_tokens": 400, "seed": number, "ignore_eos": True, "stream": True}
        turns = [{"role": "user", "content": f"Hello {number}"}]
        return [
            ("/v1/completions", {**common, "prompt": f"Once {number}"}),
            ("/v1/completions", {**common, "prompt": f"Once {number}", "n": 3}),
            ("/v1/completions", {**common, "prompt": f"{number} {words}", "return_progress": True}),
            ("/v1/completions", {**common, "prompt": [f"{number}", f"{words}"], "n": 2}),
            ("/v1/completions", {**common, "prompt": f"Once {number}", "stream": False}),
            ("/v1/chat/completions", {**common, "messages": turns, "ignore_eos": False,
                                      "response_format": {"type": "json_schema", "json_schema":
                                                          {"schema": schema}}}),
            ("/v1/chat/completions", {**common, "messages": turns, "ignore_eos": False,
                                      "grammar": f'root ::= "{number}" [a-z]+'}),
            ("/v1/chat/completions", {**common, "messages": turns, "context": "book"}),
            ("/v1/messages", {**common, "messages": turns}),
            ("/v1/responses", {**common, "input": f"Hello {number}"}),
        ]

    async def begin_and_leave(self, port, seed, stages):
        chance = random.Random(seed)
        path, body = chance.choice(self.bodies(chance))
        async with Connection(port) as c:
            c.writer.write(encode("POST", path, body))
            stage = chance.choice(["sent", "sent later", "head", "pieces", "pieces", "half"])
            stages[stage] = stages.get(stage, 0) + 1
            if stage == "sent":
                await c.writer.drain()
            elif stage == "sent later":
                await asyncio.sleep(chance.uniform(0, 0.3))
            elif stage == "half":
                await asyncio.sleep(chance.uniform(0, 0.1))
                c.writer.write_eof()
                await c.reader.read()  # until the server has noticed
            else:
                status, headers = await read_head(c.reader)
                self.assertEqual(status, 200, (path, body))
                left = chance.randrange(1, 30) if stage == "pieces" else 0
                if left:
                    async for _ in read_pieces(c.reader, headers):
                        left -= 1
                        if left == 0:
                            break
            if chance.random() < 0.5:
                c.writer.close()  # in peace; else by a reset

    def test_clients_that_leave_take_nothing_along(self):
        text = self.folder / "book.txt"
        text.write_text("Once upon a time there was a little fox. " * 30)
        contexts = self.folder / "contexts"
        self.succeed("context", "create", "book", "-f", text, "--context-dir", contexts)
        server = Server("--context-dir", contexts, "--parallel", 16, "--prefill-chunk", 128,
                        "--max-queue", 2000, "--max-connections", 2000, context=1024)
        self.addCleanup(server.stop)
        before = asyncio.run(say(server.port))
        stages = {}
        jobs = [self.begin_and_leave(server.port, seed, stages) for seed in range(ABORTS)]

        async def leave():
            await asyncio.wait_for(at_once(48, jobs), 4 * PATIENCE)
            after = await wait_for_rest(server.port, PATIENCE)
            await wait_for_connections(server.port)
            return after

        after = asyncio.run(leave())
        print(f"left: {stages}")
        cancelled = after['minimax_generations_total{reason="cancelled"}']
        self.assertGreater(cancelled, ABORTS / 10)
        self.assertNotIn('minimax_generations_total{reason="error"}', after)
        self.assertEqual(asyncio.run(say(server.port)), before)
        code, log = server.stop()
        self.assertEqual(code, 0)
        self.assertNotIn("error:", log)


class SlowAndLarge(unittest.TestCase):
    WAIT = 3  # seconds: the server's --read-timeout

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--read-timeout", cls.WAIT, "--max-body", "4M", "--parallel", 2)
        cls.addClassCleanup(cls.server.stop)
        cls.port = cls.server.port

    async def be_slow(self, data):
        """Sends a byte now and then; seconds until the server closes."""
        start = time.monotonic()
        async with Connection(self.port) as c:
            c.writer.write(data)
            closed = asyncio.create_task(c.reader.read())
            while not closed.done():
                await asyncio.wait([closed], timeout=0.3)
                if not closed.done():
                    c.writer.write(b"x")
            try:
                self.assertEqual(await closed, b"")
            except ConnectionError:
                pass  # closed while a byte was on its way
        return time.monotonic() - start

    def test_slow_clients_hinder_nobody_and_are_closed(self):
        slow = [b"", b"GET /health HTTP/1.1\r\nX: ",
                b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"]

        async def serve_others():
            crowd = [asyncio.create_task(self.be_slow(slow[i % len(slow)])) for i in range(300)]
            served = 0
            while not any(client.done() for client in crowd):
                await asyncio.wait_for(say(self.port), PATIENCE)
                served += 1
            self.assertGreater(served, 0)
            times = await asyncio.wait_for(asyncio.gather(*crowd), PATIENCE)
            await wait_for_connections(self.port)
            return times

        for seconds in asyncio.run(serve_others()):
            self.assertGreaterEqual(seconds, self.WAIT)

    def test_an_idle_connection_is_closed(self):
        async def idle():
            async with Connection(self.port) as c:
                start = time.monotonic()
                c.writer.write(encode("GET", "/health"))
                self.assertEqual((await read_answer(c.reader)).status, 200)
                self.assertEqual(await asyncio.wait_for(c.reader.read(), PATIENCE), b"")
                self.assertGreaterEqual(time.monotonic() - start, self.WAIT)

        asyncio.run(idle())

    def test_a_body_over_the_limit_is_refused_unread(self):
        before = resident_bytes(self.server)

        async def send(head, piece):
            async with Connection(self.port) as c:
                c.writer.write(head)
                answer = asyncio.create_task(read_answer(c.reader))
                sent = 0
                while not answer.done():
                    sent += len(piece)
                    self.assertLess(sent, 100 << 20)
                    try:
                        c.writer.write(piece)
                        await c.writer.drain()
                    except ConnectionError:
                        break  # it has its answer, or will fail to read one
                    await asyncio.sleep(0 if piece else 0.01)
                return await answer, sent

        head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\n"
        length = head + b"Content-Length: %d\r\n\r\n" % (100 << 20)
        # Told in advance: refused before the first byte.
        answer, _ = asyncio.run(send(length, b""))
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (413, "body_too_large"))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        chunks = head + b"Transfer-Encoding: chunked\r\n\r\n"
        answer, sent = asyncio.run(send(chunks, chunk))
        self.assertEqual(answer.status, 413)
        self.assertGreater(sent, 4 << 20)
        if not SANITIZED:
            self.assertLess(resident_bytes(self.server) - before, 32 << 20)

    def test_half_closed_connections(self):
        async def send(data):
            async with Connection(self.port) as c:
                c.writer.write(data)
                c.writer.write_eof()
                return await asyncio.wait_for(c.reader.read(), PATIENCE)

        for data in [b"", b"GET /heal", b"GET /health HTTP/1.1\r\nHost",
                     encode("POST", "/tokenize", {"content": "Hello"})[:-3]]:
            self.assertEqual(asyncio.run(send(data)), b"")
        # Who will send no more counts as gone, and a stream for nobody ends.
        long = {**PROMPT, "max_tokens": 1900, "ignore_eos": True, "stream": True}
        self.assertNotIn(b"[DONE]", asyncio.run(send(encode("POST", "/v1/completions", long))))
        after = asyncio.run(wait_for_rest(self.port))
        self.assertGreaterEqual(after['minimax_generations_total{reason="cancelled"}'], 1)


if __name__ == "__main__":
    unittest.main()
