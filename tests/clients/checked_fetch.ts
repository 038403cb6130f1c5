import { findProblem } from "./schemas.ts";

/** An endpoint and the schemas of its answers: whole, and an event of a stream. */
interface Endpoint {
  readonly method: string;
  readonly path: RegExp;
  readonly whole: string;
  readonly event?: string;
}

const endpoints: readonly Endpoint[] = [
  { method: "POST", path: /^\/v1\/chat\/completions$/, whole: "chat_completion", event: "chat_chunk" },
  { method: "POST", path: /^\/v1\/completions$/, whole: "completion", event: "completion_chunk" },
  { method: "POST", path: /^\/v1\/responses$/, whole: "response", event: "response_event" },
  { method: "POST", path: /^\/v1\/messages$/, whole: "message", event: "message_event" },
  { method: "POST", path: /^\/v1\/messages\/count_tokens$/, whole: "count_tokens" },
  { method: "GET", path: /^\/v1\/models$/, whole: "models" },
  { method: "GET", path: /^\/v1\/models\/./, whole: "model" },
  { method: "GET", path: /^\/v1\/contexts$/, whole: "contexts" },
  { method: "POST", path: /^\/v1\/contexts$/, whole: "context_written", event: "context_event" },
  { method: "GET", path: /^\/v1\/contexts\/[^/]+$/, whole: "context" },
  { method: "DELETE", path: /^\/v1\/contexts\/[^/]+$/, whole: "context_deleted" },
  { method: "POST", path: /^\/v1\/contexts\/[^/]+\/append$/, whole: "context_written", event: "context_event" },
  { method: "POST", path: /^\/v1\/contexts\/[^/]+\/fork$/, whole: "context" },
  { method: "POST", path: /^\/v1\/contexts\/[^/]+\/verify$/, whole: "context_report" },
  { method: "GET", path: /^\/health$/, whole: "health" },
  { method: "GET", path: /^\/version$/, whole: "version" },
  { method: "GET", path: /^\/props$/, whole: "props" },
  { method: "POST", path: /^\/tokenize$/, whole: "tokenize" },
  { method: "POST", path: /^\/detokenize$/, whole: "detokenize" },
  { method: "POST", path: /^\/apply-template$/, whole: "apply_template" },
];

/** An answer's data that broke its schema, or another promise of the server. */
const problems: string[] = [];
let checked = 0;

/** The problems found since the last call, and how many bodies and events were looked at. */
export function takeChecks(): { problems: string[]; checked: number } {
  const result = { problems: problems.splice(0), checked };
  checked = 0;
  return result;
}

function check(schema: string, text: string): void {
  ++checked;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    problems.push(`${schema}: no JSON: ${text}`);
    return;
  }
  const problem = findProblem(schema, value);
  if (problem) problems.push(problem);
}

/** Events as they pass; the end of the stream belongs to OpenAI's forms alone. */
function eventChecker(schema: string): (text: string) => void {
  let rest = "";
  return (text) => {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data === undefined) {
        if (!block.startsWith(":")) problems.push(`no event: ${block}`);
      } else if (data !== "[DONE]") {
        check(schema, data);
      }
    }
  };
}

/** What a client reads, checked on its way: a client that stops reading stops the server too. */
function checkPassing(body: ReadableStream<Uint8Array>, schema: string, isStream: boolean) {
  const decoder = new TextDecoder();
  const checkEvents = eventChecker(schema);
  let whole = "";
  const checks = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const text = decoder.decode(chunk, { stream: true });
      if (isStream) checkEvents(text);
      else whole += text;
      controller.enqueue(chunk);
    },
    flush() {
      if (!isStream) check(schema, whole);
    },
  });
  return body.pipeThrough(checks);
}

function findSchema(method: string, path: string, status: number, isStream: boolean): string | undefined {
  if (status >= 400) return path.startsWith("/v1/messages") ? "anthropic_error" : "error";
  const endpoint = endpoints.find((e) => e.method === method && e.path.test(path));
  return isStream ? endpoint?.event : endpoint?.whole;
}

/** fetch() for clients: what the server answers is held against the schema of its endpoint. */
export const checkedFetch: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  const response = await fetch(request);
  const path = new URL(request.url).pathname;
  const isStream = response.headers.get("content-type") === "text/event-stream";
  if (!response.headers.get("x-request-id")) problems.push(`${path}: no X-Request-Id`);
  const schema = findSchema(request.method, path, response.status, isStream);
  if (!schema) problems.push(`${request.method} ${path}: no schema for ${response.status}`);
  if (!schema || !response.body) return response;
  return new Response(checkPassing(response.body, schema, isStream), response);
};
