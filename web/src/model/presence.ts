/**
 * How long a part that was down is shown so at least. The news that it is down and that it
 * is up again may come in one piece of the stream; between them nothing would be drawn.
 */
export const leastDown = 600;

/** Which parts run, as it is shown: none goes away and comes back unseen. */
export class Presence {
  #since = new Map<string, number>();
  #returning = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly show: (name: string, up: boolean) => void) {}

  is(name: string, up: boolean): void {
    clearTimeout(this.#returning.get(name));
    this.#returning.delete(name);
    const since = this.#since.get(name);
    if (!up) {
      this.#since.set(name, since ?? performance.now());
      this.show(name, false);
      return;
    }
    const left = since === undefined ? 0 : since + leastDown - performance.now();
    if (left > 0) {
      this.#returning.set(
        name,
        setTimeout(() => this.is(name, true), left),
      );
      return;
    }
    this.#since.delete(name);
    this.show(name, true);
  }

  stop(): void {
    for (const timer of this.#returning.values()) clearTimeout(timer);
    this.#returning.clear();
  }
}
