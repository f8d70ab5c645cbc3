import type { Answer } from '../api/client';
import type { Problem } from '../api/shapes';

export type Condition = 'idle' | 'loading' | 'ready' | 'error' | 'offline' | 'absent';

/** Words instead of a silent spinner, once waiting has become noticeable. */
const slowAfter = 2_000;

/**
 * One thing the page reads again and again. What was read last stays on screen
 * while it is read again and when reading fails; loads asked for while one is
 * running become one more load after it.
 */
export class Resource<T> {
  data = $state.raw<T | null>(null);
  condition = $state<Condition>('idle');
  problem = $state.raw<Problem | null>(null);
  slow = $state(false);
  #running: Promise<void> | null = null;
  #again = false;
  #generation = 0;

  constructor(private readonly read: () => Promise<Answer<T>>) {}

  load(): Promise<void> {
    if (this.#running !== null) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#loop().finally(() => (this.#running = null));
    return this.#running;
  }

  /**
   * Forgets everything: an answer still under way belongs to the past and is
   * dropped, a load that was to follow it is not begun.
   */
  clear(): void {
    this.#generation++;
    this.#again = false;
    this.data = null;
    this.problem = null;
    this.condition = 'idle';
  }

  async #loop(): Promise<void> {
    do {
      this.#again = false;
      await this.#once();
    } while (this.#again);
  }

  async #once(): Promise<void> {
    const generation = this.#generation;
    if (this.data === null) this.condition = 'loading';
    const alarm = setTimeout(() => (this.slow = true), slowAfter);
    const answer = await this.read();
    clearTimeout(alarm);
    this.slow = false;
    if (generation !== this.#generation) return;
    if (answer.kind === 'ok') {
      this.data = answer.body;
      this.problem = null;
      this.condition = 'ready';
    } else if (answer.kind === 'silence') {
      this.condition = 'offline';
    } else {
      this.problem = answer.problem;
      this.condition = answer.status === 404 ? 'absent' : 'error';
    }
  }
}
