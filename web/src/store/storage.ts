import type { Conversation } from "./exchange";

/** A conversation as this browser keeps it. */
export interface Chat extends Conversation {
  readonly id: string;
  /** Milliseconds since 1970 of the last change. */
  readonly updated: number;
}

/** Where conversations are kept. Everything may fail: a browser may be private, or full. */
export interface ChatStorage {
  all(): Promise<Chat[]>;
  put(chat: Chat): Promise<void>;
  remove(id: string): Promise<void>;
}

const database = "minimax";
const table = "chats";

/** Conversations in this browser's IndexedDB, a record each. */
export class BrowserStorage implements ChatStorage {
  private readonly opened: Promise<IDBDatabase>;

  constructor(factory: IDBFactory) {
    const request = factory.open(database, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(table, { keyPath: "id" });
    this.opened = result(request);
    // Whoever calls a method learns of a failure; nobody calling one is no error.
    this.opened.catch(() => undefined);
  }

  async all(): Promise<Chat[]> {
    return result((await this.chats("readonly")).getAll() as IDBRequest<Chat[]>);
  }

  async put(chat: Chat): Promise<void> {
    await result((await this.chats("readwrite")).put(chat));
  }

  async remove(id: string): Promise<void> {
    await result((await this.chats("readwrite")).delete(id));
  }

  private async chats(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    return (await this.opened).transaction(table, mode).objectStore(table);
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's storage failed"));
  });
}
