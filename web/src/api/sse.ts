/**
 * Splits an event stream into the data of its events, however the network cuts it.
 * Follows the "event stream interpretation" of the HTML standard as far as data goes; comments
 * (the server's keep-alive) and other fields are skipped. An event that the stream's end cuts off
 * is dropped, as the standard asks.
 */
export class SseParser {
  private readonly decoder = new TextDecoder();
  private rest = "";
  private data: string[] = [];

  /** Takes the next bytes; returns the data of every event that they complete. */
  push(bytes: Uint8Array): string[] {
    this.rest += this.decoder.decode(bytes, { stream: true });
    const events: string[] = [];
    for (;;) {
      const end = this.rest.search(/[\r\n]/);
      if (end < 0) break;
      // A CR at the very end may be the first half of CR LF: wait for what follows.
      if (this.rest[end] === "\r" && end + 1 === this.rest.length) break;
      const line = this.rest.slice(0, end);
      const width = this.rest.startsWith("\r\n", end) ? 2 : 1;
      this.rest = this.rest.slice(end + width);
      this.take(line, events);
    }
    return events;
  }

  private take(line: string, events: string[]): void {
    if (line === "") {
      if (this.data.length > 0) events.push(this.data.join("\n"));
      this.data = [];
    } else if (line === "data") {
      this.data.push("");
    } else if (line.startsWith("data:")) {
      this.data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}
