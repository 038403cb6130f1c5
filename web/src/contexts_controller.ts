import {
  appendToContext, createContext, deleteContext, forkContext, listContexts, verifyContext,
  type ContextInfo, type ContextReport, type WriteEvent,
} from "./api/contexts";
import { ApiError } from "./api/http";
import { noContexts, type Contexts, type Writing } from "./store/contexts";
import { Observable } from "./store/observable";
import { advance } from "./store/prefill";
import type { TextDocument } from "./store/tree";

/** Documents that were chosen elsewhere on the page. */
export interface Given {
  readonly documents: readonly TextDocument[];
  /** They are being read: elsewhere they are not needed any more. */
  readonly taken: () => void;
}

/** What is shown above the page. */
export type ContextDialog =
  /** A text for a new context (whose name is empty until it is being read), or for one that exists: more, or the rest of what was interrupted. */
  | { readonly kind: "write"; readonly mode: "new" | "append" | "finish"; readonly name: string; readonly given?: Given }
  | { readonly kind: "details"; readonly name: string }
  /** How a server comes to have contexts. */
  | { readonly kind: "off" };

export interface ContextsState extends Contexts {
  readonly dialog: ContextDialog | null;
}

/** What the contexts need of the page. */
export interface ContextSurroundings {
  readonly send: typeof fetch;
  readonly now: () => number;
  /** Says what happened while the person looked elsewhere; `open` is a context to be offered. */
  readonly say: (text: string, open?: string) => void;
  /** Shows a new conversation about a context. */
  readonly open: (name: string) => void;
  /** The server wants a key. */
  readonly askKey: () => void;
}

const stopped = "Stopped";
const blankLine = "\n\n";

/** The server's durable contexts, and what a person can do with them. */
export class ContextsController {
  readonly state = new Observable<ContextsState>({ ...noContexts, dialog: null });
  private readonly stops = new Map<string, AbortController>();

  constructor(private readonly page: ContextSurroundings) {}

  show(dialog: ContextDialog | null): void {
    this.state.set({ dialog });
  }

  /** Asks the server anew. Where that fails, what was known stays. */
  async refresh(): Promise<void> {
    try {
      const entries = await listContexts(this.page.send);
      this.state.set({ available: entries ? "on" : "off", entries: entries ?? [] });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.page.askKey();
    }
  }

  /** Reads a text into a new context. Returns what went wrong before reading began, or "". */
  create(name: string, text: string): Promise<string> {
    return this.write({ name, text, kind: "create" });
  }

  /** Adds a text, parted by a blank line from what is there. Returns the same. */
  append(name: string, text: string): Promise<string> {
    return this.write({ name, text: blankLine + text, kind: "append" });
  }

  /**
   * Goes on with what was interrupted before this page was opened. The server takes the text that it
   * was begun with and no other; whether here or by the program, and whether as a new context or at
   * the end of one, is not known. Returns the same.
   */
  async finish(name: string, text: string): Promise<string> {
    const begun = [{ text, kind: "create" }, { text: blankLine + text, kind: "append" }, { text, kind: "append" }] as const;
    let error = "";
    for (const how of begun) {
      error = await this.write({ name, ...how });
      if (error === "") return "";
    }
    return error;
  }

  stop(name: string): void {
    this.stops.get(name)?.abort();
  }

  /** Goes on where reading has stopped. */
  async resume(name: string): Promise<void> {
    const writing = this.state.value.writing.get(name);
    if (!writing) return;
    const error = await this.write(writing);
    if (error !== "") this.setWriting(name, { ...writing, halted: error });
  }

  /** Throws an Error that can be shown. */
  async fork(name: string, newName: string, at: number | undefined): Promise<ContextInfo> {
    return this.do(newName, () => forkContext(name, newName, at, this.page.send));
  }

  /** Throws an Error that can be shown. */
  async verify(name: string): Promise<ContextReport> {
    return this.do(name, () => verifyContext(name, this.page.send));
  }

  /** Throws an Error that can be shown. */
  async remove(name: string): Promise<void> {
    this.stop(name);
    await this.do(name, () => deleteContext(name, this.page.send));
    this.setWriting(name, null);
  }

  /** Keeps no more of a text whose reading has stopped. */
  forget(name: string): void {
    this.setWriting(name, null);
  }

  private async do<T>(name: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw new Error(this.wordsOf(error, name));
    } finally {
      await this.refresh();
    }
  }

  private async write({ name, text, kind }: Pick<Writing, "name" | "text" | "kind">): Promise<string> {
    const { send } = this.page;
    const start = kind === "create" ? createContext : appendToContext;
    const stop = new AbortController();
    this.stops.get(name)?.abort();
    this.stops.set(name, stop);
    const startedAt = this.page.now();
    this.setWriting(name, { name, text, kind, startedAt, prefill: null, halted: null });
    try {
      for await (const event of whenFree(() => start(name, text, stop.signal, send))) this.take(name, event);
      return "";
    } catch (error) {
      return this.halt(name, stop.signal.aborted ? stopped : this.wordsOf(error, name), stop.signal.aborted);
    } finally {
      if (this.stops.get(name) === stop) this.stops.delete(name);
      await this.refresh();
    }
  }

  private take(name: string, event: WriteEvent): void {
    const writing = this.state.value.writing.get(name);
    if (!writing) return;
    if (event.kind === "progress") {
      this.setWriting(name, { ...writing, prefill: advance(writing.prefill, event.processed, event.total, this.page.now()) });
      return;
    }
    const { entries } = this.state.value;
    const others = entries.filter((entry) => entry.name !== name);
    this.state.set({ entries: [...others, event.context].sort((a, b) => (a.name < b.name ? -1 : 1)) });
    this.setWriting(name, null);
    if (this.isShown(name)) {
      this.show(null);
      this.page.open(name);
    } else {
      this.page.say(`${name} is read`, name);
    }
  }

  /** What was read stays on the server, so it can go on; what never began is forgotten. Returns the reason then. */
  private halt(name: string, reason: string, wanted: boolean): string {
    const writing = this.state.value.writing.get(name);
    if (!writing) return "";
    const begun = writing.prefill !== null || wanted;
    this.setWriting(name, begun ? { ...writing, halted: reason } : null);
    if (!wanted && !this.isShown(name)) this.page.say(`${name}: ${reason}`);
    return begun ? "" : reason;
  }

  /** Whether its reading is watched. */
  private isShown(name: string): boolean {
    const { dialog } = this.state.value;
    return dialog?.kind === "write" && dialog.name === name;
  }

  private setWriting(name: string, writing: Writing | null): void {
    const all = new Map(this.state.value.writing);
    if (writing) all.set(name, writing);
    else all.delete(name);
    this.state.set({ writing: all });
  }

  /** What went wrong, and what can be done about it. */
  private wordsOf(error: unknown, name: string): string {
    if (error instanceof TypeError) return "The server cannot be reached. Try again when it is back.";
    if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
    switch (error.status) {
      case 401:
        this.page.askKey();
        return "The server asks for a key.";
      case 404:
        return `The server has no context ${name} any more.`;
      case 409:
        if (isBusy(error)) return `${name} is being written. Try again when that is done.`;
        return `There is a context ${name} already. Choose another name, or delete that one first.`;
      case 413:
        return "This text is larger than the server takes at once. Start it with a larger --max-body, or make the context there: minimax context create.";
      case 429:
      case 503:
        return `${error.message} Try again in a moment.`;
      default:
        return error.message;
    }
  }
}

/** Only one may write a context. The server's word for it is also that for a name that is taken. */
function isBusy(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409 && error.message.includes("is being written");
}

const tries = 8;
const betweenMs = 250;

/** Begins again for a while if the context is being written: the server may not yet know that reading was stopped. */
async function* whenFree(start: () => AsyncGenerator<WriteEvent>): AsyncGenerator<WriteEvent> {
  for (let left = tries; ; --left) {
    try {
      yield* start();
      return;
    } catch (error) {
      if (!isBusy(error) || left === 1) throw error;
      await new Promise((resolve) => setTimeout(resolve, betweenMs));
    }
  }
}
