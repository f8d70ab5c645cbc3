/** How fast a story is played again; 1 is the pace of the live drawing. */
export const speeds = [0.25, 0.5, 1, 2, 4] as const;
export type Speed = (typeof speeds)[number];

export const speedNames: Record<Speed, string> = {
  0.25: '¼×',
  0.5: '½×',
  1: '1×',
  2: '2×',
  4: '4×',
};

/**
 * A head over the index of stored events. It stands behind the event that was
 * last played: 0 is before the first, `length` is behind the last. While it is
 * live it goes along with what comes; otherwise nothing but the viewer moves it,
 * and what came meanwhile is how far it is behind.
 */
export class Scrubber {
  length = 0;
  head = 0;
  live = true;
  playing = false;
  speed: Speed = 1;
  #due = 0;

  /** How many events were stored that the head has not reached. */
  get behind(): number {
    return this.length - this.head;
  }

  /** A new story, followed as it happens. */
  reset(length: number): void {
    this.length = length;
    this.head = length;
    this.live = true;
    this.playing = false;
  }

  /** The index has grown. Only a live head goes along. */
  grow(length: number): void {
    this.length = length;
    if (this.live) this.head = length;
  }

  /** Stops where the picture is: `waiting` events are stored and not drawn yet. */
  pause(waiting = 0): void {
    if (this.live) this.head = Math.max(0, this.length - waiting);
    this.live = false;
    this.playing = false;
  }

  /** From the end there is nothing to play: it begins anew. */
  play(now: number): void {
    if (this.head === this.length) this.head = 0;
    this.live = false;
    this.playing = this.length > 0;
    this.#due = now;
  }

  seek(head: number): void {
    this.live = false;
    this.playing = false;
    this.head = Math.min(this.length, Math.max(0, Math.round(head)));
  }

  step(by: number): void {
    this.seek(this.head + by);
  }

  goLive(): void {
    this.live = true;
    this.playing = false;
    this.head = this.length;
  }

  /**
   * Plays what is due by now and says how many events the head went on. `lasts`
   * is how long an event takes to draw at speed 1. Having caught up it is live.
   */
  tick(now: number, lasts: (index: number) => number): number {
    const before = this.head;
    while (this.playing && now >= this.#due) {
      if (this.head === this.length) {
        this.goLive();
        break;
      }
      this.#due += lasts(this.head) / this.speed;
      this.head++;
    }
    return this.head - before;
  }
}
