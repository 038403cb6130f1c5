"""Many connections to a server at once, for tests: HTTP/1.1 by hand on asyncio.

By hand, because these tests send what a client library would not, leave in the middle of answers,
and must see when the server closes.
"""

import asyncio
import json
import re
import time


class Answer:
    """What came on a connection for one request."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


def encode(method, path, body=None, headers=()):
    """The bytes of a request; `body` is bytes, or anything else as JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join(lines + ["", ""]).encode() + data


async def read_head(reader):
    """Status and headers, names in lower case; None when the server closed before."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise AssertionError(f"an answer of {end.partial!r}") from end
        return None
    lines = head.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z ]+", lines[0])
    assert status, lines[0]
    headers = dict(line.split(": ", 1) for line in lines[1:-2])
    return int(status.group(1)), {name.lower(): value for name, value in headers.items()}


async def read_pieces(reader, headers):
    """The pieces of a body as they come."""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            piece = await reader.readexactly(size + 2)
            yield piece[:-2]
        await reader.readexactly(2)
    elif length := int(headers.get("content-length", 0)):
        yield await reader.readexactly(length)


async def read_answer(reader):
    """None when the server closed instead."""
    head = await read_head(reader)
    if head is None:
        return None
    status, headers = head
    if status == 100:
        return await read_answer(reader)
    return Answer(status, headers, b"".join([piece async for piece in read_pieces(reader, headers)]))


class Connection:
    """async with Connection(port) as c: c.reader and c.writer."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_):
        # At once, and with what is unsent thrown away, as when a process is killed.
        self.writer.transport.abort()


async def request(port, method, path, body=None, headers=()):
    async with Connection(port) as c:
        c.writer.write(encode(method, path, body, headers))
        return await read_answer(c.reader)


async def stream(port, path, body):
    """(seconds since 1970, event) for each event of a streamed answer."""
    async with Connection(port) as c:
        c.writer.write(encode("POST", path, {**body, "stream": True}))
        status, headers = await read_head(c.reader)
        if status != 200:
            pieces = [piece async for piece in read_pieces(c.reader, headers)]
            raise AssertionError(f"{status} {b''.join(pieces)!r}")
        rest = b""
        async for piece in read_pieces(c.reader, headers):
            *whole, rest = (rest + piece).split(b"\n\n")
            for event in whole:
                data = [line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")]
                if data and data[0] != b"[DONE]":
                    yield time.time(), json.loads(data[0])


async def metrics(port):
    """Values by name and labels as written."""
    answer = await request(port, "GET", "/metrics")
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in answer.body.decode().splitlines() if not line.startswith("#")}


async def wait_for_rest(port, seconds=120):
    """The metrics once nothing runs, waits or is compiled; fails if pages or states are missing."""
    end = time.time() + seconds
    while True:
        now = await metrics(port)
        if now["minimax_generations_active"] == 0 and now["minimax_sequences_running"] == 0:
            break
        assert time.time() < end, f"still busy: {now}"
        await asyncio.sleep(0.05)
    check_rest(now)
    return now


def check_rest(now):
    """That a server at rest has everything back: integrity as far as metrics tell it."""
    assert now["minimax_sequences_waiting"] == 0, now
    assert now["minimax_sequence_slots_free"] == now["minimax_sequence_slots"] > 0, now
    assert now["minimax_kv_pages_used"] == 0, now
    assert now["minimax_contexts_loaded"] == 0, now
    # What is not free is cached: no page belongs to nobody.
    assert (now["minimax_kv_pages_free"] + now["minimax_kv_pages_cached"]
            == now["minimax_kv_pages"] > 0), now
    # A kept state belongs to a cached page.
    kept = now["minimax_states"] - now["minimax_states_free"]
    assert 0 <= kept <= now["minimax_kv_pages_cached"], now
