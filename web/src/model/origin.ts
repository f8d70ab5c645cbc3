import type { Activity } from '../api/shapes';
import type { Origin } from './script';

/** Where an attempt.received came from: the event itself says so. */
export const originOf = (event: Activity): Origin =>
  event.node === 'gateway' ? 'gateway' : 'browser';

/**
 * Numbers the attempts of one payment in the order they reached the api. The
 * trace tells the events of one attempt from those of its twins, even where
 * both carry the same key. An event's own `attempt` is another number: which
 * charge of the payment it is about, or which delivery to a consumer.
 */
export class Numbering {
  #ofTrace = new Map<string, number>();
  #next = 1;

  /** After a reload the first new attempt continues where the list ends. */
  reset(before: number): void {
    this.#ofTrace.clear();
    this.#next = before + 1;
  }

  /** The number of the attempt that the event belongs to; null for one that belongs to none. */
  number(event: Activity): number | null {
    const trace = event.trace_id;
    if (!trace) return null;
    const begins = event.kind === 'attempt.received' || event.kind === 'interrupted';
    if (begins && !this.#ofTrace.has(trace)) this.#ofTrace.set(trace, this.#next++);
    return this.#ofTrace.get(trace) ?? null;
  }
}
