"""Requests that no server should take, made by chance from a seed, for tests.

A case is (what it is, bytes, whether the client then says that no more comes, statuses). Statuses:
what the answers' must be, "4xx" for any of that class; an answer may be missing only where the
client has said that no more comes, and what it sent was no whole request.
"""

import json

from serve_client import encode

REFUSED = ("4xx",)

# ---- fields of JSON bodies ------------------------------------------------------------------------


def wrong_integers(least, most):
    return [1.5, "1", True, [], {}, least - 1, most + 1, 10**30, -(10**30), 1e300]


def wrong_numbers(least, most):
    return ["1", False, [], {}, least - 0.01, most + 1, 1e300, -1e300]


WRONG_BOOLS = [0, 1, "true", [], {}, 1.5]
WRONG_TEXTS = [0, True, [], {}, 1.5, ["text"]]
WRONG_LISTS = [0, True, "text", {}, 1.5]
WRONG_OBJECTS = [0, True, "text", [], [{}]]
MOST_TOKENS = 2**30

WRONG_CONTENTS = [0, True, {}, [0], [{}], [{"type": "image_url"}], [{"type": "text"}],
                  [{"type": "text", "text": 0}], [["text"]]]
WRONG_MESSAGES = [*WRONG_LISTS, [], [0], [{}], [{"role": "user"}], [{"content": "a"}],
                  [{"role": 0, "content": "a"}], [{"role": "alien", "content": "a"}],
                  [{"role": "user", "content": "a"}, None],
                  *([{"role": "user", "content": c}] for c in WRONG_CONTENTS)]
TOOL_MESSAGES = [[{"role": "tool", "content": "a"}],
                 [{"role": "tool", "content": "a", "tool_call_id": "none"}],
                 [{"role": "assistant", "tool_calls": [0]}],
                 [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]]
WRONG_TOOLS = [*WRONG_LISTS, [0], [{}], [{"type": "alien"}], [{"type": "function"}],
               [{"type": "function", "function": {"name": ""}}],
               [{"type": "function", "function": {"name": "a b"}}], [{}] * 129]
WRONG_SCHEMAS = [{"type": "alien"}, {"minimum": "x"}, {"$ref": "#/nowhere"}, {"enum": []},
                 {"type": "string", "pattern": "("}, {"anyOf": []}, {"properties": 1}, 0, "x",
                 {"type": "array", "items": {"type": 0}}, {"minLength": -1}]
WRONG_FORMATS = [*WRONG_OBJECTS, {}, {"type": 0}, {"type": "alien"}]
WRONG_GRAMMARS = [0, True, [], {}, "root ::= undefined", "root ::= (", "::=",
                  'root ::= "a', "other ::= \"a\"", "root ::= [z-a]", "\x00", "x" * 300_000]

GENERATION = {
    "model": [*WRONG_TEXTS, "other"],
    "n": wrong_integers(1, 128),
    "stream": WRONG_BOOLS,
    "stream_options": [*WRONG_OBJECTS, {}, {"include_usage": True}, {"include_usage": 0}],
    "return_progress": WRONG_BOOLS,
    "temperature": wrong_numbers(0, 100),
    "top_p": wrong_numbers(0, 1),
    "min_p": wrong_numbers(0, 1),
    "top_k": wrong_integers(-1, 2**31 - 1),
    "presence_penalty": wrong_numbers(-2, 2),
    "frequency_penalty": wrong_numbers(-2, 2),
    "repetition_penalty": wrong_numbers(1e-3, 1e6),
    "seed": wrong_integers(-(2**63), 2**63 - 1),
    "stop": [0, True, {}, [0], [""], ["a"] * 5, [None]],
    "logit_bias": [*WRONG_OBJECTS, {"x": 1}, {"-1": 1}, {"1.0": 1}, {"9999999": 1}, {"1": "a"},
                   {"1": 101}, {"1": -100.5}, {"1": True}, {"": 1}],
    "ignore_eos": WRONG_BOOLS,
    "max_tokens": [*wrong_integers(1, MOST_TOKENS), 0, MOST_TOKENS],
    "max_completion_tokens": [*wrong_integers(1, MOST_TOKENS), 0, MOST_TOKENS],
}
FORMATS = {
    "response_format": [*WRONG_FORMATS, {"type": "json_schema"},
                        {"type": "json_schema", "json_schema": 0},
                        {"type": "json_schema", "json_schema": {"name": 0, "schema": {}}},
                        {"type": "json_schema", "json_schema": {"name": "n" * 65, "schema": {}}},
                        {"type": "json_schema", "json_schema": {"strict": 1, "schema": {}}},
                        *({"type": "json_schema", "json_schema": {"schema": s}}
                          for s in WRONG_SCHEMAS)],
    "grammar": WRONG_GRAMMARS,
}
USER = [{"role": "user", "content": "Hello"}]

# By endpoint: a body that would be taken, its fields with values that none may have, and fields
# that must be there.
ENDPOINTS = {
    "/v1/chat/completions": (
        {"messages": USER, "max_tokens": 1},
        {**GENERATION, **FORMATS, "messages": WRONG_MESSAGES + TOOL_MESSAGES, "tools": WRONG_TOOLS,
         "tool_choice": [0, True, [], {}, "alien", "required", {"type": "function"}],
         "parallel_tool_calls": WRONG_BOOLS, "logprobs": WRONG_BOOLS,
         "top_logprobs": [*wrong_integers(0, 20), 1], "functions": [0, "f", [{}], {}],
         "context": [*WRONG_TEXTS, "none", "../..", "a/b", "\x00", "n" * 5000]},
        ["messages"]),
    "/v1/completions": (
        {"prompt": "Once", "max_tokens": 1},
        {**GENERATION, **FORMATS,
         "prompt": [0, True, {}, [], [[]], [-1], [1.5], ["a", 0], [["a"]], [10**9], [{}], [None],
                    ["a"] * 129, "word " * 5000],
         "best_of": [*wrong_integers(1, 128), 2], "echo": [True, 0, {}, "x"],
         "suffix": ["x", 0, {}], "logprobs": wrong_integers(0, 20)},
        ["prompt"]),
    "/v1/responses": (
        {"input": "Hello", "max_output_tokens": 1},
        {**{k: v for k, v in GENERATION.items() if "max" not in k}, "grammar": WRONG_GRAMMARS,
         "input": [0, True, {}, [], [0], [{}], [{"type": "alien"}], [{"role": "user"}],
                   [{"type": "function_call", "call_id": "c", "name": "f"}],
                   [{"type": "function_call_output", "call_id": "c", "output": "o"}],
                   *([{"role": "user", "content": c}] for c in WRONG_CONTENTS)],
         "instructions": WRONG_TEXTS, "max_output_tokens": wrong_integers(1, MOST_TOKENS),
         "text": [*WRONG_OBJECTS, *({"format": f} for f in WRONG_FORMATS),
                  *({"format": {"type": "json_schema", "name": "s", "schema": s}}
                    for s in WRONG_SCHEMAS)],
         "previous_response_id": ["r", 0, {}], "conversation": ["c", {}], "background": [True, 0],
         "top_logprobs": [*wrong_integers(0, 20), 1], "tools": WRONG_TOOLS,
         "tool_choice": [0, True, [], "alien"], "parallel_tool_calls": WRONG_BOOLS},
        ["input"]),
    "/v1/messages": (
        {"messages": USER, "max_tokens": 1},
        {**GENERATION, "messages": WRONG_MESSAGES + [[{"role": "tool", "content": "a"}]],
         "system": [0, True, {}, [0], [{}], [{"type": "image"}], [{"type": "text"}]],
         "stop_sequences": [*WRONG_LISTS, [0], [""], ["a"] * 17],
         "tools": [*WRONG_LISTS, [0], [{}], [{"name": "f"}], [{"name": "f", "input_schema": 0}]],
         "tool_choice": [0, True, "auto", [], {}, {"type": "alien"}, {"type": 0}]},
        ["messages", "max_tokens"]),
    "/v1/messages/count_tokens": (
        {"messages": USER}, {"messages": WRONG_MESSAGES, "system": [0, True, {}, [0]]},
        ["messages"]),
    "/tokenize": ({"content": "Hello"},
                  {"content": WRONG_TEXTS, "parse_special": WRONG_BOOLS, "with_pieces": WRONG_BOOLS},
                  ["content"]),
    "/detokenize": ({"tokens": [1, 2, 3]},
                    {"tokens": [*WRONG_LISTS, [-1], [1.5], ["1"], [True], [10**9], [10**30], [[]]]},
                    ["tokens"]),
    "/apply-template": ({"messages": USER}, {"messages": WRONG_MESSAGES}, ["messages"]),
    "/v1/contexts/none/fork": ({"name": "new"},
                               {"name": [*WRONG_TEXTS, "", "../a", "a/b", "\x00", "n" * 5000],
                                "at": wrong_integers(0, 2**40)},
                               ["name"]),
}
CLOSE = ["Connection: close"]


def wrong_field(chance):
    path = chance.choice(list(ENDPOINTS))
    good, fields, needed = ENDPOINTS[path]
    body = dict(good)
    if chance.random() < 0.05:
        name = chance.choice(needed)
        del body[name]
        what = f"{path} without {name}"
    else:
        name = chance.choice(list(fields))
        body[name] = chance.choice(fields[name])
        what = f"{path} {name}={str(body[name])[:80]}"
    if chance.random() < 0.3 and "stream" in fields and name not in ("stream", "stream_options"):
        body["stream"] = True
    return what, encode("POST", path, body, CLOSE), False, REFUSED


# ---- JSON itself ----------------------------------------------------------------------------------


def break_text(chance, good):
    """(what is wrong, bytes that are no JSON of an object)."""
    middle = len(good) // 2
    return chance.choice([
        lambda: ("cut", good[:chance.randrange(len(good))]),
        lambda: ("empty", b""),
        lambda: ("spaces", b" \n\t" * chance.randrange(1, 1000)),
        lambda: ("twice", good + good),
        lambda: ("a comma", good[:-1] + b",}"),
        lambda: ("no object", chance.choice([b"[]", b"1", b'"x"', b"null", b"true", b"[" + good + b"]"])),
        lambda: ("bytes", chance.randbytes(chance.randrange(1, 300))),
        lambda: ("NULs", good[:middle] + b"\0" + good[middle:]),
        lambda: ("no UTF-8", good[:-1] + b', "x": "' + chance.choice(
            [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x82", b"\x80"])
            + b'"}'),
        lambda: ("half a pair", good[:-1] + b', "x": "\\ud800"}'),
        lambda: ("a wrong escape", good[:-1] + b', "x": "\\q"}'),
        lambda: ("control characters", good[:-1] + b', "x": "' + bytes([chance.randrange(32)])
                 + b'"}'),
        lambda: ("deep", good[:-1] + b', "x": ' + chance.choice([b"[", b'{"a":'])
                 * chance.choice([2000, 100_000]) + b"}"),
        lambda: ("deep and closed", good[:-1] + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
        lambda: ("a huge number", good[:-1] + b', "x": 1e' + b"9" * chance.randrange(3, 40) + b"}"),
        lambda: ("digits", good[:-1] + b', "x": ' + b"9" * chance.choice([25, 400, 20_000]) + b"}"),
        lambda: ("no number", good[:-1] + b', "x": ' + chance.choice(
            [b"NaN", b"Infinity", b"-", b"1.", b".5", b"+1", b"0x1", b"01"]) + b"}"),
        lambda: ("other quotes", good.replace(b'"', b"'")),
    ])()


def wrong_json(chance):
    path = chance.choice(list(ENDPOINTS))
    what, body = break_text(chance, json.dumps(ENDPOINTS[path][0]).encode())
    return f"{path} JSON: {what}", encode("POST", path, body, CLOSE), False, REFUSED


# ---- paths and methods ----------------------------------------------------------------------------


def wrong_path(chance):
    name = chance.choice(["none", "..", "%2e%2e", "%2e%2e%2fetc", "a%00b", "%zz", "%", "%4", "a%20b",
                          "n" * 3000, "%ff%fe", "a/b", "none/verify", "none/fork/x", "a;b", "..%5c"])
    method, path = chance.choice([
        ("GET", "/" + name), ("GET", "/v1/models/" + name), ("GET", "/v1/contexts/" + name),
        ("DELETE", "/v1/contexts/" + name), ("POST", "/v1/contexts/none/" + name),
        ("POST", f"/v1/contexts/{name}/verify"), ("GET", "/v1/contexts/"), ("POST", "/v1/models"),
        ("DELETE", "/health"), ("PUT", "/v1/completions"), ("GET", "/v1/chat/completions"),
        ("OPTIONS", "/tokenize"), ("PATCH", "/" + name), ("POST", "/metrics"), ("GET", "//health"),
        ("BREW", "/props"), ("GET", "/v1/completions?x=" + name), ("GET", "*")])
    body = {} if method in ("POST", "PUT", "PATCH") else None
    return f"{method} {path[:60]}", encode(method, path, body, CLOSE), False, REFUSED


# ---- HTTP itself ----------------------------------------------------------------------------------

WRONG_HEADS = [
    b"nonsense", b"GET", b"GET /health", b"GET /health HTTP/9.9", b"GET /health HTTP/1", b"GET  HTTP/1.1",
    b"GET /health HTTP/2.0", b"GET /health http/1.1", b"GET /health HTTP/1.1 x", b"GET\t/health\tHTTP/1.1",
    b" GET /health HTTP/1.1", b"G\0T /health HTTP/1.1", b"GET /he\0lth HTTP/1.1", b"GET /he\x7flth HTTP/1.1",
    b"GET /health HTTP/-1.1", b"HTTP/1.1 200 OK", b"PRI * HTTP/2.0", b"{}: / HTTP/1.1", b"\xff\xfe / HTTP/1.1",
    b"GET /health HTTP/11.1", b"GET /health XTTP/1.1",
]
WRONG_HEADERS = [
    b"no colon", b": no name", b"Na me: x", b"Name : x", b"N\0me: x", b"Name: a\0b", b"Name: a\x01b",
    b"N\xe9me: x", b"Content-Length: x", b"Content-Length: -1", b"Content-Length: 1.5",
    b"Content-Length: 1 2", b"Content-Length: 99999999999999999999999", b"Content-Length: +1",
    b"Content-Length: 0x10", b"Content-Length: 1\r\nContent-Length: 2", b"Name: x\rX: y",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Content-Length: 99999999999",
    b"Content-Length: ", b"Name: " + b"x" * 70_000, b"\r\n".join(b"N%d: x" % n for n in range(9000)),
]
WRONG_CHUNKS = [
    b"x\r\n{}\r\n0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"2{}\r\n0\r\n\r\n",
    b"ffffffffffffffffff\r\n{}\r\n", b"fffffff\r\n{}", b"0x2\r\n{}\r\n0\r\n\r\n", b"2\n{}\n0\n\n", b"\r\n\r\n",
    b"2;" + b"x" * 70_000 + b"\r\n{}\r\n0\r\n\r\n", b"1\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nno trailer\r\n\r\n",
]


def wrong_http(chance):
    kind = chance.randrange(4)
    if kind == 0:
        head = chance.choice(WRONG_HEADS)
        return f"head {head}", head + b"\r\nHost: x\r\n\r\n", True, REFUSED
    if kind == 1:
        header = chance.choice(WRONG_HEADERS)
        data = b"POST /tokenize HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
        return f"header {header[:60]}", data, True, REFUSED
    if kind == 2:
        body = chance.choice(WRONG_CHUNKS)
        data = (b"POST /tokenize HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n" + body)
        return f"chunks {body[:60]}", data, True, REFUSED
    # A greeting of TLS, and of others who have the wrong door.
    data = chance.choice([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(400),
                          b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO mail.example\r\n",
                          chance.randbytes(chance.randrange(1, 5000)),
                          b"\0" * chance.randrange(1, 100), b"\r\n" * chance.randrange(3, 500)])
    return f"bytes {data[:40]}", data, True, REFUSED


def cut_off(chance):
    """The beginning of a request that would be taken. Nothing more comes: no answer is needed."""
    path = chance.choice(list(ENDPOINTS))
    whole = encode("POST", path, ENDPOINTS[path][0])
    return f"{path} cut", whole[:chance.randrange(len(whole))], True, REFUSED


def pipelined(chance):
    """Good requests, a bad one behind them in the same bytes."""
    good = chance.randrange(1, 4)
    what, data, ends, statuses = chance.choice([wrong_http, wrong_json, wrong_field])(chance)
    data = encode("GET", "/health") * good + data
    return f"{good} and {what}", data, ends, (200,) * good + statuses


def mutated(chance):
    """A request of which some bytes are others. It may still be one that is taken."""
    path = chance.choice(list(ENDPOINTS))
    data = bytearray(encode("POST", path, ENDPOINTS[path][0], CLOSE))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data))
        if chance.random() < 0.3:
            del data[at]
        else:
            data[at] = chance.randrange(256)
    return f"mutated {bytes(data)}", bytes(data), True, ("any",)


def make_case(chance):
    """One case; the same for the same state of `chance`."""
    kinds, weights = zip((wrong_field, 50), (wrong_json, 18), (wrong_path, 8), (wrong_http, 12),
                         (cut_off, 4), (pipelined, 4), (mutated, 4))
    return chance.choices(kinds, weights)[0](chance)
