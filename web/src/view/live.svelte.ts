import type { Activity, Proof } from '../api/shapes';
import { shop } from '../api/client';
import { listen, type StreamState } from '../api/stream';
import { Flow, pace, projectorPace, type Drawing } from '../model/flow';
import { Numbering, originOf } from '../model/origin';
import { inTime, InOrder } from '../model/order';
import { Presence } from '../model/presence';
import { carried, ofStory, script, type Origin } from '../model/script';
import { Tally, type Stations } from '../model/station';
import { total } from '../model/fate';

export const nothing: Drawing = {
  tokens: [],
  flashes: [],
  caption: '',
  behind: 0,
  waiting: 0,
  still: true,
};

/** A stored event of the story as it is, and of which attempt, which came from where. */
export interface Entry {
  event: Activity;
  origin: Origin;
  number: number | null;
  /** What was counted after it and moves nothing. */
  also: Activity[];
}

const counts = (event: Activity): boolean => ofStory(event) || carried(event);

/**
 * The live half of the page: the stream, the counts made of it at once, and the
 * drawing that plays it slowly. It draws one payment; events of others only
 * matter when a process comes or goes.
 */
export class Live {
  /** A recording has no stream: nothing comes any more. */
  stream = $state<StreamState | 'recorded'>('connecting');
  drawing = $state.raw<Drawing>(nothing);
  stations = $state.raw<Stations>(new Tally().read(null));
  paused = $state(false);
  /** The index: every known event of the payment that moves something, as it was played. */
  story = $state.raw<readonly Entry[]>([]);
  #paymentId: string | null = null;
  #proof: Proof | null = null;
  #flow = new Flow(pace);
  #tally = new Tally();
  #numbering = new Numbering();
  #order = new InOrder();
  #origins = new Map<string, Origin>();
  #known = new Set<string>();
  /** Everything that was counted, also what moves nothing. */
  #noted: Activity[] = [];
  #frame = 0;
  #presence = new Presence((name, up) => {
    this.#tally.process(name, up);
    this.#show();
  });

  constructor(
    private readonly onEvent: (event: Activity) => void,
    private readonly onReset: () => void,
    /** The line is open again: what happened meanwhile was not heard. */
    private readonly onBack: () => void,
  ) {}

  /** Returns the function that stops listening. */
  start(): () => void {
    const stop = listen({
      activity: (event) => this.#take(event),
      reset: () => this.onReset(),
      state: (state) => this.#changed(state),
      database: (up) => this.processIs('postgres', up),
    });
    return () => {
      stop();
      this.#presence.stop();
      cancelAnimationFrame(this.#frame);
    };
  }

  get proof(): Proof | null {
    return this.#proof;
  }

  /** From now on this payment is drawn; `proof` tells what happened before we looked. */
  watch(paymentId: string | null, proof: Proof | null): void {
    this.#paymentId = paymentId;
    this.#proof = proof;
    this.#flow.clear();
    this.#order.clear();
    this.#known.clear();
    this.#begin(proof);
    this.#show();
  }

  learn(proof: Proof | null): void {
    this.#proof = proof;
    this.#show();
  }

  /**
   * Takes over what the journal still holds of the payment: counts that only a
   * proof could tell become whole, and the past can be looked at. Not to be
   * called for a past that is [forgotten].
   */
  remember(history: readonly Activity[]): void {
    const missing = history.filter((event) => counts(event) && !this.#known.has(event.id));
    if (missing.length === 0) return;
    const all = [...this.#noted, ...inTime(missing)];
    this.#begin(null);
    for (const event of all) this.#note(event);
    this.#show();
  }

  /** Shows a payment that is over, from what was written down of it. */
  recorded(paymentId: string, history: readonly Activity[], proof: Proof): void {
    this.stream = 'recorded';
    this.watch(paymentId, null);
    this.remember(history);
    this.learn(proof);
  }

  /** Draws what was heard before it was known that it is this payment's. */
  catchUp(heard: readonly Activity[]): void {
    for (const event of heard) this.#enqueue(event);
    this.#show();
  }

  /** A process, or the database, is said to be up or down. */
  processIs(name: string, up: boolean): void {
    this.#presence.is(name, up);
  }

  togglePause(): void {
    if (this.#flow.paused) this.#flow.resume(performance.now());
    else this.#flow.pause(performance.now());
    this.paused = this.#flow.paused;
    this.#show();
  }

  projector(on: boolean): void {
    this.#flow.pace = on ? projectorPace : pace;
  }

  #begin(proof: Proof | null): void {
    this.#tally.reset(proof);
    this.#numbering.reset(proof === null ? 0 : total(proof.attempts));
    this.#origins.clear();
    this.story = [];
    this.#noted = [];
  }

  #take(raw: Activity): void {
    if (raw.kind === 'process.up' || raw.kind === 'process.down') {
      this.processIs(raw.node, raw.kind === 'process.up');
    }
    this.onEvent(raw);
    if (this.#enqueue(raw)) this.#show();
  }

  /** False for what is another payment's, or known. */
  #enqueue(raw: Activity): boolean {
    if (raw.payment_id === undefined || raw.payment_id !== this.#paymentId) return false;
    if (!counts(raw) || this.#known.has(raw.id)) return false;
    this.#known.add(raw.id);
    this.#order.push(raw, performance.now());
    return true;
  }

  #note(raw: Activity): Entry {
    const entry: Entry = {
      event: raw,
      origin: this.#originOf(raw),
      number: this.#numbering.number(raw),
      also: [],
    };
    this.#known.add(raw.id);
    this.#noted.push(raw);
    this.#tally.add(entry.event, entry.origin);
    if (!ofStory(raw)) this.story.at(-1)?.also.push(raw);
    else if (script(raw, entry.origin) !== null) this.story = [...this.story, entry];
    return entry;
  }

  /** An answer flies back to where its question came from. */
  #originOf(event: Activity): Origin {
    const trace = event.trace_id ?? '';
    if (event.kind === 'attempt.received') this.#origins.set(trace, originOf(event));
    return this.#origins.get(trace) ?? 'browser';
  }

  /** Without the stream there is no api to be seen; with it, it is up. */
  #changed(state: StreamState): void {
    if (state === 'live' && this.stream === 'lost') this.onBack();
    this.stream = state;
    if (state !== 'connecting') this.processIs('api', state === 'live');
    if (state === 'live') void this.#askWhoRuns();
    this.#show();
  }

  /** What a process says of itself is not kept: whoever was not listening has to ask. */
  async #askWhoRuns(): Promise<void> {
    const answer = await shop.processes();
    if (answer.kind !== 'ok') return;
    for (const { process, state } of answer.body.data) {
      if (process !== 'api') this.processIs(process, state === 'up');
    }
  }

  #show(): void {
    this.stations = this.#tally.read(this.#proof);
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#frame = 0;
    const now = performance.now();
    const next = this.#order.take(now);
    for (const raw of next) {
      const { origin, number } = this.#note(raw);
      if (ofStory(raw)) this.#flow.push(raw, origin, now, number);
    }
    if (next.length > 0) this.stations = this.#tally.read(this.#proof);
    this.drawing = this.#flow.frame(now);
    if (this.#order.waiting || !(this.drawing.still || this.paused)) {
      this.#frame = requestAnimationFrame(() => this.#draw());
    }
  }
}
