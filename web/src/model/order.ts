import type { Activity } from '../api/shapes';

/** How long an event waits for an earlier one that another process is still writing. */
const patience = 180;

/**
 * Puts events back into the order in which they happened. Each process writes
 * its journal in batches of its own, so a delivery may be heard before the
 * capture that caused it; a moment's wait and their own times set that right.
 */
export class InOrder {
  #held: { event: Activity; arrived: number }[] = [];

  push(event: Activity, now: number): void {
    this.#held.push({ event, arrived: now });
  }

  /** What has waited long enough, together with everything that happened before it. */
  take(now: number): Activity[] {
    const ripe = this.#held.filter(({ arrived }) => now - arrived >= patience);
    if (ripe.length === 0) return [];
    const latest = ripe.reduce((max, { event }) => (event.at > max ? event.at : max), '');
    const out = this.#held.filter(({ event }) => event.at <= latest);
    this.#held = this.#held.filter(({ event }) => event.at > latest);
    return inTime(out.map(({ event }) => event));
  }

  get waiting(): boolean {
    return this.#held.length > 0;
  }

  clear(): void {
    this.#held = [];
  }
}

/** By their own times. Equal ones keep their order: the journal's ids grow within a process. */
export function inTime(events: readonly Activity[]): Activity[] {
  return [...events].sort((a, b) => (a.at < b.at ? -1 : Number(a.at > b.at)));
}
