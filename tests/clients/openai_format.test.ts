import OpenAI, { BadRequestError } from "openai";
import { LengthFinishReasonError } from "openai/core/error";
import { zodResponseFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { checkedFetch } from "./checked_fetch.ts";
import { startServer, type Server } from "./server.ts";

let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: server.api, apiKey: "none", fetch: checkedFetch, maxRetries: 0 });
});
afterAll(() => server.stop());

const messages = [{ role: "user" as const, content: "Tell me about a dog." }];
const ask = { model: "mini", messages, temperature: 0, max_completion_tokens: 400 };

// What people write: nesting, lists, choices, alternatives, things that may be missing.
const Owner = z.object({ name: z.string().max(10), phone: z.string().max(6).nullable() });
const Dog = z.object({
  name: z.string().max(10),
  breed: z.enum(["terrier", "poodle", "mongrel"]),
  legs: z.number().int().min(0).max(8),
  is_good: z.boolean(),
  owners: z.array(Owner).max(2),
  toy: z.union([z.object({ ball: z.boolean() }), z.null()]),
});

describe("openai, structured outputs", () => {
  it("parses what a zod schema describes", async () => {
    const response_format = zodResponseFormat(Dog, "dog");
    const whole = await client.chat.completions.parse({ ...ask, response_format });
    const message = whole.choices[0]?.message;
    expect(whole.choices[0]?.finish_reason).toBe("stop");
    expect(Dog.parse(message?.parsed)).toEqual(JSON.parse(message?.content ?? ""));

    const stream = client.chat.completions.stream({ ...ask, response_format });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.parsed).toEqual(message?.parsed);
  });

  it("takes schemas that refer to themselves", async () => {
    interface Tree {
      value: number;
      next: Tree | null;
    }
    const Tree: z.ZodType<Tree> = z.object({
      value: z.number().int().min(0).max(9),
      get next() {
        return z.union([Tree, z.null()]);
      },
    });
    const response_format = zodResponseFormat(z.object({ root: Tree }), "tree");
    const answer = await client.chat.completions.parse({ ...ask, temperature: 2, seed: 1, response_format });
    const [choice] = answer.choices;
    expect(choice?.finish_reason).toBe("stop");
    expect(choice?.message.parsed).toEqual(JSON.parse(choice?.message.content ?? ""));
  });

  it("says that an answer was cut", async () => {
    const response_format = zodResponseFormat(Dog, "dog");
    const cut = client.chat.completions.parse({ ...ask, max_completion_tokens: 4, response_format });
    await expect(cut).rejects.toBeInstanceOf(LengthFinishReasonError);
  });

  it("answers with any JSON object", async () => {
    const response_format = { type: "json_object" as const };
    const answer = await client.chat.completions.create({ ...ask, response_format });
    const [choice] = answer.choices;
    if (choice?.finish_reason === "stop") {
      expect(JSON.parse(choice.message.content ?? "")).toBeTypeOf("object");
    }
    expect(choice?.message.content).toMatch(/^\s*\{/);
  });

  it("refuses a schema that it cannot enforce, and says where", async () => {
    const schema = { type: "object", properties: { a: { type: "string", format: "hostname" } } };
    const response_format = { type: "json_schema" as const, json_schema: { name: "a", schema } };
    const error = await client.chat.completions.create({ ...ask, response_format }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BadRequestError);
    expect((error as BadRequestError).param).toBe("response_format");
    expect((error as BadRequestError).message).toContain("/properties/a");
  });
});
