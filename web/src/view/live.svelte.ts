import type { Activity, Proof } from '../api/shapes';
import { listen, type StreamState } from '../api/stream';
import { Flow, pace, projectorPace, type Drawing } from '../model/flow';
import { Numbering, Senders } from '../model/origin';
import { InOrder } from '../model/order';
import { ofCapture, type Origin } from '../model/script';
import { Tally, type Stations } from '../model/station';
import { total } from '../model/fate';

const nothing: Drawing = {
  tokens: [],
  flashes: [],
  caption: '',
  behind: 0,
  waiting: 0,
  still: true,
};

/**
 * The live half of the page: the stream, the counts made of it at once, and the
 * drawing that plays it slowly. It draws one payment; events of others only
 * matter when a process comes or goes.
 */
export class Live {
  stream = $state<StreamState>('connecting');
  drawing = $state.raw<Drawing>(nothing);
  stations = $state.raw<Stations>(new Tally().read(null));
  paused = $state(false);
  readonly senders = new Senders();
  #paymentId: string | null = null;
  #proof: Proof | null = null;
  #flow = new Flow(pace);
  #tally = new Tally();
  #numbering = new Numbering();
  #order = new InOrder();
  #origins = new Map<string, Origin>();
  #frame = 0;

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
      database: (up) => {
        this.#tally.process('postgres', up);
        this.#show();
      },
    });
    return () => {
      stop();
      cancelAnimationFrame(this.#frame);
    };
  }

  /** From now on this payment is drawn; `proof` tells what happened before we looked. */
  watch(paymentId: string | null, proof: Proof | null): void {
    this.#paymentId = paymentId;
    this.#proof = proof;
    this.#flow.clear();
    this.#order.clear();
    this.#tally.reset(proof);
    this.#numbering.reset(proof === null ? 0 : total(proof.attempts));
    this.#origins.clear();
    this.senders.clear();
    this.#show();
  }

  learn(proof: Proof | null): void {
    this.#proof = proof;
    this.#show();
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

  #take(raw: Activity): void {
    if (raw.kind === 'process.up' || raw.kind === 'process.down') {
      this.#tally.process(raw.node, raw.kind === 'process.up');
      this.#show();
    }
    this.onEvent(raw);
    if (raw.payment_id === undefined || raw.payment_id !== this.#paymentId || !ofCapture(raw))
      return;
    this.#order.push(raw, performance.now());
    this.#show();
  }

  #play(raw: Activity, now: number): void {
    const event = this.#numbering.number(raw);
    const origin = this.#originOf(event);
    this.#tally.add(event, origin);
    this.#flow.push(event, origin, now);
  }

  /** An answer flies back to where its question came from. */
  #originOf(event: Activity): Origin {
    const trace = event.trace_id ?? '';
    if (event.kind === 'attempt.received') this.#origins.set(trace, this.senders.originOf(event));
    return this.#origins.get(trace) ?? 'browser';
  }

  /** Without the stream there is no api to be seen; with it, it is up. */
  #changed(state: StreamState): void {
    if (state === 'live' && this.stream === 'lost') this.onBack();
    this.stream = state;
    if (state !== 'connecting') this.#tally.process('api', state === 'live');
    this.#show();
  }

  #show(): void {
    this.stations = this.#tally.read(this.#proof);
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#frame = 0;
    const now = performance.now();
    const next = this.#order.take(now);
    for (const event of next) this.#play(event, now);
    if (next.length > 0) this.stations = this.#tally.read(this.#proof);
    this.drawing = this.#flow.frame(now);
    if (this.#order.waiting || !(this.drawing.still || this.paused)) {
      this.#frame = requestAnimationFrame(() => this.#draw());
    }
  }
}
