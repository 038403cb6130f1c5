import { spawn, type ChildProcess } from "node:child_process";

/** A running `minimax serve` with the bundled model. */
export interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

/** Long enough for the slowest machine that runs the tests. */
const startMs = 120_000;

/** Starts the program that MINIMAX_PROGRAM names, on a free port, and returns when it is ready. */
export async function startServer(...flags: string[]): Promise<Server> {
  const program = process.env.MINIMAX_PROGRAM;
  if (!program) throw new Error("MINIMAX_PROGRAM names no program");
  const child = spawn(program, ["serve", "--port", "0", ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  try {
    const url = await readyUrl(child);
    return { url, stop: () => end(child) };
  } catch (error) {
    await end(child);
    throw error;
  }
}

function readyUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = "";
    const timer = setTimeout(() => reject(new Error(`the server is not ready:\n${log}`)), startMs);
    child.on("error", reject);
    child.on("exit", () => reject(new Error(`the server ended:\n${log}`)));
    child.stderr?.on("data", (data: Buffer) => {
      log += data.toString();
      const url = /listening on (http:\S+)/.exec(log)?.[1];
      if (!url || !log.includes("ready: ")) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    child.on("exit", () => resolve());
    child.kill("SIGKILL");
  });
}
