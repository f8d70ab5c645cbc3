import type { Activity } from '../api/shapes';
import { suffix } from './checkout';
import type { Origin } from './script';

/**
 * Tells a click of this page from one of the gateway. The events name the key
 * but not the sender, so the page remembers what it sent itself and how many
 * attempts it asked the gateway for. Only where a token starts hangs on this.
 */
export class Senders {
  #own = new Map<string, number>();
  #asked = 0;

  clicked(key: string): void {
    this.#own.set(suffix(key), (this.#own.get(suffix(key)) ?? 0) + 1);
  }

  burst(attempts: number): void {
    this.#asked += attempts;
  }

  clear(): void {
    this.#own.clear();
    this.#asked = 0;
  }

  /** To be called once for each attempt.received. */
  originOf(event: Activity): Origin {
    const key = suffix(event.key_suffix ?? '');
    const own = this.#own.get(key) ?? 0;
    if (own > 0) {
      this.#own.set(key, own - 1);
      return 'browser';
    }
    if (this.#asked === 0) return 'browser';
    this.#asked--;
    return 'gateway';
  }
}

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
