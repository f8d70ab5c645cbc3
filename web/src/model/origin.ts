import type { Activity } from '../api/shapes';
import type { Origin } from './script';

/** Where an attempt.received came from: the event itself says so. */
export const originOf = (event: Activity): Origin =>
  event.node === 'gateway' ? 'gateway' : 'browser';

/**
 * Numbers the attempts of one payment in the order they reached the api. The
 * trace tells the events of one attempt from those of its twins, even where
 * both carry the same key.
 */
export class Numbering {
  #ofTrace = new Map<string, number>();
  #next = 1;

  /** After a reload the first new attempt continues where the list ends. */
  reset(before: number): void {
    this.#ofTrace.clear();
    this.#next = before + 1;
  }

  number(event: Activity): Activity {
    const trace = event.trace_id;
    if (!trace) return event;
    if (event.kind === 'attempt.received' && !this.#ofTrace.has(trace)) {
      this.#ofTrace.set(trace, this.#next++);
    }
    return { ...event, attempt: this.#ofTrace.get(trace) };
  }
}
