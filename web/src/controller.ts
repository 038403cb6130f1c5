import { chat as streamChat, type ChatEvent } from "./api/chat";
import { ApiError } from "./api/http";
import { countTokens, serverInfo, withKey, type ServerInfo } from "./api/server";
import { ContextsController } from "./contexts_controller";
import { importConversation } from "./store/exchange";
import { Observable } from "./store/observable";
import { advance, type Prefill } from "./store/prefill";
import { requestMessages, titleOf } from "./store/prompt";
import type { Sampling, Settings } from "./store/settings";
import type { Chat, ChatStorage } from "./store/storage";
import { add, append, complete, emptyTree, path, show, type Message, type Stats, type TextDocument, type Tree } from "./store/tree";

/** An answer that is being written. Times are in milliseconds. */
export interface Running {
  readonly message: string;
  readonly startedAt: number;
  readonly prefill: Prefill | null;
  readonly firstTextAt: number | null;
  /** Pieces of text so far: about as many tokens. */
  readonly pieces: number;
}

export interface Toast {
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}

export interface State {
  /** Newest first. */
  readonly chats: readonly Chat[];
  /** The conversation that is open; null is a new one, which is kept from its first message on. */
  readonly current: string | null;
  /** The system prompt of the new one, and the context that it will be about. */
  readonly draftSystem: string;
  readonly draftContext: string | null;
  /** By conversation. */
  readonly running: Readonly<Record<string, Running>>;
  readonly settings: Settings;
  readonly server: ServerInfo | null;
  /** Why there is no server, in words for people; empty while all is well. */
  readonly serverNote: string;
  readonly needsKey: boolean;
  readonly toast: Toast | null;
}

/** What the controller needs of the world. */
export interface Surroundings {
  readonly storage: ChatStorage;
  readonly send: typeof fetch;
  readonly now: () => number;
  readonly newId: () => string;
  readonly saveSettings: (settings: Settings) => void;
}

/** While an answer is written, it is saved this often, so that a closed tab loses little. */
const saveEveryMs = 2000;
const retryLoadingMs = 1000;

/** What a person can do on the page. Conversations change here alone. */
export class Controller {
  readonly state: Observable<State>;
  readonly contexts: ContextsController;
  private readonly stops = new Map<string, AbortController>();

  constructor(
    private readonly world: Surroundings,
    settings: Settings,
  ) {
    this.state = new Observable<State>({
      chats: [], current: null, draftSystem: "", draftContext: null, running: {}, settings, server: null, serverNote: "", needsKey: false, toast: null,
    });
    this.contexts = new ContextsController({
      send: this.send,
      now: world.now,
      say: (text, name) => this.say(name === undefined ? { text } : { text, action: { label: "Open", run: () => this.openContext(name) } }),
      open: (name) => this.openContext(name),
      askKey: () => this.state.set({ needsKey: true }),
    });
  }

  /** Brings back what this browser has kept. */
  async load(): Promise<void> {
    try {
      const chats = await this.world.storage.all();
      this.state.set({ chats: [...chats, ...this.state.value.chats].sort((a, b) => b.updated - a.updated) });
    } catch {
      this.state.set({ toast: { text: "This browser keeps no conversations: they last until the page is closed." } });
    }
  }

  /** Asks the server what it serves, again while it loads its model. */
  async connect(): Promise<void> {
    try {
      this.state.set({ server: await serverInfo(this.send), serverNote: "", needsKey: false });
      await this.contexts.refresh();
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      if (status === 401) {
        this.state.set({ needsKey: true, serverNote: this.state.value.settings.key === "" ? "" : "This key is not known to the server." });
        return;
      }
      this.state.set({ serverNote: status === 503 ? "The model is loading…" : "The server cannot be reached." });
      setTimeout(() => void this.connect(), retryLoadingMs);
    }
  }

  get current(): Chat | undefined {
    return this.find(this.state.value.current);
  }

  open(id: string | null): void {
    this.state.set({ current: id, draftContext: null });
  }

  /** Begins a conversation about a context. */
  openContext(name: string): void {
    this.state.set({ current: null, draftContext: name, toast: null });
  }

  /** The context that the conversation shown is about. */
  get context(): string | null {
    const { current, draftContext } = this.state.value;
    return current === null ? draftContext : (this.current?.context ?? null);
  }

  /** Lets the open conversation go on without its context, which may be gone. */
  leaveContext(): void {
    const { current, chats } = this.state.value;
    if (current === null) this.state.set({ draftContext: null });
    else {
      this.state.set({ chats: chats.map((chat) => (chat.id === current ? withoutContext(chat) : chat)) });
      this.save(current);
    }
  }

  async submit(text: string, documents: readonly TextDocument[]): Promise<void> {
    const { current, draftSystem, draftContext } = this.state.value;
    const id = current ?? this.world.newId();
    if (current === null) {
      const title = titleOf(text, documents.map((d) => d.name));
      const chat = { id, title, system: draftSystem, tree: emptyTree, updated: this.world.now() };
      this.insert(draftContext === null ? chat : { ...chat, context: draftContext });
      this.state.set({ current: id, draftSystem: "", draftContext: null });
    }
    const tree = this.tree(id);
    await this.ask(id, this.userMessage(tree.leaf, text, documents));
  }

  /** Asks anew with other words, beside the old ones. */
  async edit(messageId: string, text: string): Promise<void> {
    const chat = this.current;
    const message = chat?.tree.messages.find((m) => m.id === messageId);
    if (!chat || !message) return;
    await this.ask(chat.id, this.userMessage(message.parent, text, message.documents ?? []));
  }

  /** Answers anew, beside the old answer. */
  async regenerate(messageId: string): Promise<void> {
    const chat = this.current;
    const message = chat?.tree.messages.find((m) => m.id === messageId);
    if (chat && message?.parent) await this.answer(chat.id, message.parent);
  }

  showBranch(messageId: string): void {
    const chat = this.current;
    if (chat) this.change(chat.id, { tree: show(chat.tree, messageId) }, true);
  }

  stop(): void {
    const { current } = this.state.value;
    if (current !== null) this.stops.get(current)?.abort();
  }

  rename(id: string, title: string): void {
    if (title.trim() !== "") this.change(id, { title: title.trim() }, true);
  }

  setSystem(system: string): void {
    const { current } = this.state.value;
    if (current === null) this.state.set({ draftSystem: system });
    else this.change(current, { system }, true);
  }

  remove(id: string): void {
    const chat = this.find(id);
    if (!chat) return;
    this.stops.get(id)?.abort();
    const { chats, current } = this.state.value;
    this.state.set({
      chats: chats.filter((c) => c.id !== id),
      current: current === id ? null : current,
      toast: { text: "Conversation deleted", action: { label: "Undo", run: () => this.putBack(chat) } },
    });
    void this.world.storage.remove(id).catch(() => undefined);
  }

  /** Takes an exported conversation in; what is wrong with a file is said in a toast. */
  importText(text: string): void {
    try {
      const chat = { ...importConversation(text), id: this.world.newId(), updated: this.world.now() };
      this.insert(chat);
      this.state.set({ current: chat.id });
      this.save(chat.id);
    } catch (error) {
      this.state.set({ toast: { text: messageOf(error) } });
    }
  }

  /** Reads and counts a document. Throws an Error that can be shown. */
  async readDocument(file: File): Promise<TextDocument> {
    const text = decode(await file.arrayBuffer());
    if (text === null || text.includes("\0")) throw new Error(`${file.name} is not a text file.`);
    if (text.trim() === "") throw new Error(`${file.name} is empty.`);
    return { name: file.name, text, tokens: await countTokens(text, this.send) };
  }

  /** Throws ApiError. */
  countTokens(text: string): Promise<number> {
    return countTokens(text, this.send);
  }

  set(change: Partial<Settings>): void {
    const settings = { ...this.state.value.settings, ...change };
    this.state.set({ settings });
    this.world.saveSettings(settings);
  }

  /** Undefined leaves the field to the model. */
  setSampling(name: keyof Sampling, value: number | undefined): void {
    const { [name]: _, ...others } = this.state.value.settings.sampling;
    this.set({ sampling: value === undefined ? others : { ...others, [name]: value } });
  }

  say(toast: Toast | null): void {
    this.state.set({ toast });
  }

  private readonly send: typeof fetch = (input, init) =>
    withKey(this.world.send, this.state.value.settings.key)(input, init);

  private userMessage(parent: string | null, text: string, documents: readonly TextDocument[]): Message {
    const message = { id: this.world.newId(), parent, role: "user", text } as const;
    return documents.length > 0 ? { ...message, documents } : message;
  }

  private async ask(chatId: string, message: Message): Promise<void> {
    this.change(chatId, { tree: add(this.tree(chatId), message) }, true);
    await this.answer(chatId, message.id);
  }

  /** Streams an answer under a message. What goes wrong is noted on the answer. */
  private async answer(chatId: string, parent: string): Promise<void> {
    this.stops.get(chatId)?.abort();
    const stop = new AbortController();
    this.stops.set(chatId, stop);
    const id = this.world.newId();
    const tree = show(this.tree(chatId), parent);
    const branch = path({ ...tree, leaf: parent });
    this.change(chatId, { tree: add(tree, { id, parent, role: "assistant", text: "" }) });
    this.setRunning(chatId, { message: id, startedAt: this.world.now(), prefill: null, firstTextAt: null, pieces: 0 });
    const chat = this.find(chatId);
    const fields = { ...this.state.value.settings.sampling, context: chat?.context };
    // A context has begun the conversation: it takes no system prompt any more.
    const messages = requestMessages(fields.context === undefined ? (chat?.system ?? "") : "", branch);
    let end: Pick<Message, "stats" | "note"> = {};
    try {
      let savedAt = this.world.now();
      for await (const event of streamChat(messages, fields, stop.signal, this.send)) {
        end = { ...end, ...this.take(chatId, id, event) };
        if (this.world.now() - savedAt > saveEveryMs) {
          savedAt = this.world.now();
          this.save(chatId);
        }
      }
    } catch (error) {
      end = { ...end, note: stop.signal.aborted ? "Stopped" : messageOf(error) };
      if (error instanceof ApiError && error.status === 401) this.state.set({ needsKey: true });
      // It may have been deleted, or damaged, since the list was read.
      if (error instanceof ApiError && fields.context !== undefined) void this.contexts.refresh();
    }
    if (this.state.value.running[chatId]?.message === id) this.setRunning(chatId, null);
    if (this.stops.get(chatId) === stop) this.stops.delete(chatId);
    if (this.find(chatId)) this.change(chatId, { tree: complete(this.tree(chatId), id, end) }, true);
  }

  /** Returns what an event tells of the answer's end. */
  private take(chatId: string, id: string, event: ChatEvent): Pick<Message, "stats" | "note"> {
    const running = this.state.value.running[chatId];
    if (running?.message !== id) return {};
    const now = this.world.now();
    switch (event.kind) {
      case "progress":
        this.setRunning(chatId, { ...running, prefill: advance(running.prefill, event.processed, event.total, now) });
        return {};
      case "reasoning":
      case "text":
        this.setRunning(chatId, { ...running, firstTextAt: running.firstTextAt ?? now, pieces: running.pieces + 1 });
        this.change(chatId, { tree: append(this.tree(chatId), id, event.text, event.kind) });
        return {};
      case "finish":
        return event.reason === "length" ? { note: "Ended at the limit of tokens" } : {};
      case "usage": {
        const first = running.firstTextAt ?? now;
        const stats: Stats = { ...event.usage, prefillMs: first - running.startedAt, decodeMs: now - first };
        return { stats };
      }
    }
  }

  private find(id: string | null): Chat | undefined {
    return this.state.value.chats.find((chat) => chat.id === id);
  }

  private tree(id: string): Tree {
    return this.find(id)?.tree ?? emptyTree;
  }

  private insert(chat: Chat): void {
    this.state.set({ chats: [chat, ...this.state.value.chats] });
  }

  private putBack(chat: Chat): void {
    this.insert(chat);
    this.state.set({ current: chat.id, toast: null });
    this.save(chat.id);
  }

  /** Changes a conversation; `keep` saves it and moves it to the front. */
  private change(id: string, change: Partial<Chat>, keep = false): void {
    const chats = this.state.value.chats.map((chat) =>
      chat.id === id ? { ...chat, ...change, updated: keep ? this.world.now() : chat.updated } : chat,
    );
    this.state.set({ chats: keep ? chats.sort((a, b) => b.updated - a.updated) : chats });
    if (keep) this.save(id);
  }

  private save(id: string): void {
    const chat = this.find(id);
    if (chat) this.world.storage.put(chat).catch(() => this.say({ text: "This conversation could not be saved in the browser." }));
  }

  private setRunning(chatId: string, running: Running | null): void {
    const { [chatId]: _, ...others } = this.state.value.running;
    this.state.set({ running: running ? { ...others, [chatId]: running } : others });
  }
}

function withoutContext({ context: _, ...chat }: Chat): Chat {
  return chat;
}

/** UTF-8, or null where the bytes are none. */
function decode(bytes: ArrayBuffer): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof TypeError) return "The server cannot be reached.";
  return error instanceof Error ? error.message : String(error);
}
