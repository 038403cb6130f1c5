import { fileURLToPath } from "node:url";
import { startServer as startProgram, type Server as Program } from "../../web/browser/server.ts";

export const mini = fileURLToPath(new URL("../../models/mini", import.meta.url));

/** Tokens of an answer that does not end by itself while a test looks at it, however slow it is. */
export const endless = 120_000;
/** Flags of a server that has room for it. */
export const longContext = ["-c", "131072"] as const;

/** A key for --api-key. */
export const key = "a-key-of-the-tests";

export interface Server extends Program {
  /** Where OpenAI's endpoints are. */
  readonly api: string;
  /** A number of GET /metrics, by its name with labels; 0 where it is not yet there. */
  metric(name: string): Promise<number>;
  /** Waits until a number of GET /metrics is what is wanted. */
  awaitMetric(name: string, isWanted: (value: number) => boolean): Promise<void>;
}

/** A server of models/mini, unless the flags name another model. */
export async function startServer(...flags: string[]): Promise<Server> {
  const program = await startProgram("-c", "4096", ...flags);
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${program.url}/metrics`, { headers: { "X-Api-Key": key } })).text();
    const line = text.split("\n").find((l) => l.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length));
  };
  return {
    ...program,
    api: `${program.url}/v1`,
    metric,
    // Without an end of its own: the test's timeout ends a wait that is in vain.
    async awaitMetric(name, isWanted) {
      while (!isWanted(await metric(name))) await new Promise((resolve) => setTimeout(resolve, 20));
    },
  };
}
