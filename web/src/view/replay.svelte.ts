import { Flow, pace, type Drawing, type Pace } from '../model/flow';
import { script } from '../model/script';
import { Scrubber, type Speed } from '../model/scrub';
import { Tally, type Stations } from '../model/station';
import { nothing, type Live, type Entry } from './live.svelte';

/** So many events before the head are drawn again, so that what still waits is seen waiting. */
const context = 16;

/** An event that stays in its place lights up; a held picture stops while it is lit. */
const lit = 120;

/** What the scrubber shows of its state. */
export interface Shown {
  head: number;
  length: number;
  behind: number;
  live: boolean;
  playing: boolean;
  speed: Speed;
}

/**
 * The past of one payment. The head stands over the index that [Live] keeps;
 * wherever it is, counts and picture are made anew from the events before it.
 * While it is live, the live ones are shown.
 */
export class Replay {
  shown = $state.raw<Shown>(read(new Scrubber()));
  #drawing = $state.raw<Drawing>(nothing);
  #stations = $state.raw<Stations>(new Tally().read(null));
  readonly drawing = $derived.by(() => (this.shown.live ? this.live.drawing : this.#drawing));
  /** What is down is down now, whatever is looked at. */
  readonly stations = $derived.by(() =>
    this.shown.live
      ? this.live.stations
      : { ...this.#stations, down: this.live.stations.down, realMs: this.live.stations.realMs },
  );
  /** The event the head has just passed. */
  readonly at = $derived.by((): Entry | null => this.live.story[this.shown.head - 1] ?? null);
  #scrubber = new Scrubber();
  #pace: Pace = { ...pace, limit: Infinity };
  #flow = new Flow(this.#pace);
  #rests = 0;
  #frame = 0;

  constructor(readonly live: Live) {}

  /** The index has another length; a shorter one is another payment's. */
  grew(length: number): void {
    if (length < this.#scrubber.length) this.#scrubber.reset(length);
    else this.#scrubber.grow(length);
    this.#tell();
  }

  projector(on: boolean): void {
    this.#pace = { hop: on ? 600 : pace.hop, limit: Infinity };
  }

  /** Plays on, or stops where the picture is. */
  toggle(): void {
    const { live, playing } = this.#scrubber;
    if (live || playing) {
      this.#scrubber.pause(live ? this.live.drawing.waiting : 0);
      if (live) this.#rebuild();
    } else {
      const anew = this.#scrubber.behind === 0;
      this.#scrubber.play(performance.now());
      if (anew) this.#rebuild();
    }
    this.#tell();
  }

  step(by: number): void {
    this.seek(this.#scrubber.head + by);
  }

  seek(head: number): void {
    const before = this.#scrubber.head;
    const wasLive = this.#scrubber.live;
    this.#scrubber.seek(head);
    if (!wasLive && this.#scrubber.head === before + 1) this.#push(before);
    else this.#rebuild();
    this.#tell();
  }

  goLive(): void {
    this.#scrubber.goLive();
    this.#tell();
  }

  speed(speed: Speed): void {
    this.#scrubber.speed = speed;
    this.#tell();
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
  }

  #tell(): void {
    this.shown = read(this.#scrubber);
    if (!this.#scrubber.live && this.#frame === 0) {
      this.#frame = requestAnimationFrame(() => this.#draw());
    }
  }

  /** Everything again, from the first event to the head; only the last ones are drawn. */
  #rebuild(): void {
    const { head } = this.#scrubber;
    const now = performance.now();
    this.#flow = new Flow({ ...this.#pace });
    const first = Math.max(0, head - context);
    let clock = now - this.#sum(first, head - 1);
    for (let i = first; i < head; i++) {
      const entry = this.live.story[i];
      if (entry === undefined) break;
      this.#flow.push(entry.event, entry.origin, clock);
      this.#flow.frame(clock);
      this.#rests = clock + this.#arrives(i);
      if (i < head - 1) clock += this.#lasts(i);
    }
    this.#count();
  }

  /** One event further: the picture goes on from where it is. */
  #push(index: number): void {
    const entry = this.live.story[index];
    const now = performance.now();
    if (entry === undefined) return;
    this.#flow.pace = { hop: this.#hop(), limit: Infinity };
    this.#flow.resume(now);
    this.#flow.push(entry.event, entry.origin, now);
    this.#rests = now + this.#arrives(index) / this.#playedAt();
    this.#count();
  }

  #count(): void {
    const tally = new Tally();
    tally.reset(null);
    for (const { event, origin, also } of this.live.story.slice(0, this.#scrubber.head)) {
      for (const one of [event, ...also]) tally.add(one, origin);
    }
    this.#stations = tally.readAt(this.live.proof);
  }

  #draw(): void {
    this.#frame = 0;
    const now = performance.now();
    const before = this.#scrubber.head;
    const went = this.#scrubber.tick(now, (index) => this.#lasts(index));
    if (this.#scrubber.live) {
      this.#tell();
      return;
    }
    for (let i = before; i < before + went; i++) this.#push(i);
    if (went > 0) this.shown = read(this.#scrubber);
    // Between two steps the picture stands: nothing fades from a moment that is held.
    if (now >= this.#rests && !this.#scrubber.playing) this.#flow.pause(now);
    this.#drawing = this.#flow.frame(now);
    if (this.#scrubber.playing || !this.#flow.paused) {
      this.#frame = requestAnimationFrame(() => this.#draw());
    }
  }

  #hop = () => this.#pace.hop / this.#playedAt();

  #playedAt = () => (this.#scrubber.playing ? this.#scrubber.speed : 1);

  /** How long an event takes at speed 1: its hops, or one where it stays in its place. */
  #lasts(index: number): number {
    const entry = this.live.story[index];
    const found = entry === undefined ? null : script(entry.event, entry.origin, entry.number);
    return this.#pace.hop * Math.max(1, (found?.route.length ?? 1) - 1);
  }

  /** After how long its picture says most: where it arrived, or just lit. */
  #arrives(index: number): number {
    const entry = this.live.story[index];
    const found = entry === undefined ? null : script(entry.event, entry.origin, entry.number);
    return found?.route.length === 1 ? lit : this.#lasts(index);
  }

  #sum(from: number, until: number): number {
    let sum = 0;
    for (let i = from; i < until; i++) sum += this.#lasts(i);
    return sum;
  }
}

function read(of: Scrubber): Shown {
  const { head, length, behind, live, playing, speed } = of;
  return { head, length, behind, live, playing, speed };
}
