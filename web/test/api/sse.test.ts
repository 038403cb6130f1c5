import { expect, test } from "vitest";
import { SseParser } from "../../src/api/sse";

const stream = 'data: {"a":"ü😀"}\r\n\r\n: keep-alive\n\ndata: x\ndata:y\n\ndata: [DONE]\n\n';
const events = ['{"a":"ü😀"}', "x\ny", "[DONE]"];

test("gives the same events wherever the bytes are cut", () => {
  const bytes = new TextEncoder().encode(stream);
  for (let size = 1; size <= bytes.length; ++size) {
    const parser = new SseParser();
    const got: string[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      got.push(...parser.push(bytes.subarray(at, at + size)));
    }
    expect(got, `pieces of ${size}`).toEqual(events);
  }
});

test("drops an event that was cut off", () => {
  expect(new SseParser().push(new TextEncoder().encode("data: half\n"))).toEqual([]);
});
