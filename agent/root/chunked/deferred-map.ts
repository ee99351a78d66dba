/**
 * Things that become available in any order, and those who wait for one of them.
 */
export class DeferredMap<Key, Value> {
  readonly #here = new Map<Key, Value>();
  readonly #waiting = new Map<Key, PromiseWithResolvers<Value>>();
  #failure: { error: unknown } | undefined;

  has(key: Key): boolean {
    return this.#here.has(key);
  }

  get(key: Key): Value | undefined {
    return this.#here.get(key);
  }

  put(key: Key, value: Value): void {
    this.#here.set(key, value);
    this.#waiting.get(key)?.resolve(value);
    this.#waiting.delete(key);
  }

  delete(key: Key): void {
    this.#here.delete(key);
  }

  /** Nothing more will come: those who wait, and those who will, get the error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  wait(key: Key): Promise<Value> | Value {
    const value = this.#here.get(key);
    if (value !== undefined) return value;
    if (this.#failure) throw this.#failure.error;
    const waiting = this.#waiting.get(key) ?? Promise.withResolvers<Value>();
    this.#waiting.set(key, waiting);
    return waiting.promise;
  }
}
