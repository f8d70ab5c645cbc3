import { shop } from '../api/client';
import type {
  Alert,
  AlertAction,
  DeadLetter,
  DeadLetterAction,
  Problem,
  Process,
  Queues,
  Saga,
} from '../api/shapes';
import { listen, type StreamState } from '../api/stream';
import type { Decider, SagaEnd } from '../model/saga';
import { emptySeries, push, rate, type Series } from '../model/series';
import { Resource } from './resource.svelte';
import type { Visit } from './visit.svelte';

interface Page<T> {
  data: T[];
  foreign_open?: number;
}

const lookEvery = 2_000;
const keepSeconds = 180;
const shownFor = 1_500;
/** How events of the stream are told apart: what was absorbed, and what had an effect. */
const absorbing = new Set(['replayed', 'matched', 'absorbed', 'waited']);

/** What an operator watches. Read every two seconds, and at once when the stream says so. */
export class Ops implements Decider {
  readonly queues = new Resource<Queues>(() => shop.queues());
  readonly sagas = new Resource<Page<Saga>>(() => shop.sagas());
  readonly letters = new Resource<Page<DeadLetter>>(() => shop.deadLetters());
  readonly processes = new Resource<{ data: Process[] }>(() => shop.processes());
  /** Every page reads them; this one only more often. */
  readonly alerts: Visit['alerts'];
  problem = $state.raw<Problem | null>(null);
  stream = $state<StreamState>('connecting');
  backlog = $state.raw<Series>(emptySeries);
  waiting = $state.raw<Series>(emptySeries);
  absorbed = $state.raw<Series>(emptySeries);
  /** Processes that were heard to go down, a moment longer than they were. */
  gone = $state.raw<readonly string[]>([]);
  #absorbed = 0;
  #before: { at: number; total: number } | null = null;

  constructor(private readonly visit: Visit) {
    this.alerts = visit.alerts;
  }

  start(): () => void {
    void this.load();
    const ticking = setInterval(() => {
      if (!document.hidden) void this.load();
    }, lookEvery);
    const stop = listen({
      activity: (event) => {
        if (absorbing.has(event.kind)) this.#absorbed++;
        if (event.kind === 'process.up' || event.kind === 'process.down') {
          this.#process(event.node, event.kind === 'process.up');
          void this.processes.load();
        }
        if (event.kind === 'dead') void this.letters.load();
      },
      reset: () => void this.load(),
      state: (state) => (this.stream = state),
      database: () => undefined,
    });
    return () => {
      clearInterval(ticking);
      stop();
    };
  }

  async load(): Promise<void> {
    await Promise.all([
      this.queues.load(),
      this.sagas.load(),
      this.letters.load(),
      this.alerts.load(),
      this.processes.load(),
    ]);
    this.#draw();
  }

  async retry(saga: Saga): Promise<void> {
    await this.#decided(shop.retrySaga(saga.id));
  }

  async resolve(saga: Saga, outcome: SagaEnd, reason: string): Promise<boolean> {
    return this.#decided(shop.resolveSaga(saga.id, { outcome, reason }));
  }

  async decide(letter: DeadLetter, action: DeadLetterAction, reason: string): Promise<boolean> {
    return this.#decided(shop.decideLetter(letter.id, action, reason));
  }

  /** What can be done at the alert itself: see its actions. */
  async endAlert(alert: Alert, action: AlertAction, reason: string): Promise<boolean> {
    return this.#decided(
      action === 'resolve'
        ? shop.resolveAlert(alert.id, reason)
        : shop.sendAlertMail(alert.id, reason),
    );
  }

  async settlePayment(
    payment: string,
    decision: 'accept_provider' | 'keep_ours',
    reason: string,
  ): Promise<boolean> {
    return this.#decided(shop.resolvePayment(payment, { decision, reason }));
  }

  async #decided(
    sent: Promise<{ kind: 'ok' } | { kind: 'problem'; problem: Problem } | { kind: 'silence' }>,
  ): Promise<boolean> {
    const answer = await sent;
    this.problem = answer.kind === 'problem' ? answer.problem : null;
    await Promise.all([this.load(), this.visit.audit.load()]);
    return answer.kind === 'ok';
  }

  /** A process may be back before anybody can read that it was gone. */
  #process(name: string, up: boolean): void {
    if (!up) this.gone = [...new Set([...this.gone, name])];
    else setTimeout(() => (this.gone = this.gone.filter((one) => one !== name)), shownFor);
  }

  /** A point per reading; while nobody answers there is a gap, not a zero. */
  #draw(): void {
    const at = Date.now() / 1000;
    const known = this.queues.condition === 'ready' ? this.queues.data : null;
    const ready = known?.data.reduce((sum, q) => sum + (q.lossy ? 0 : q.ready), 0) ?? null;
    const now = { at, total: this.#absorbed };
    this.backlog = push(this.backlog, at, known?.outbox.unpublished ?? null, keepSeconds);
    this.waiting = push(this.waiting, at, ready, keepSeconds);
    const speed = this.stream === 'live' ? rate(this.#before, now) : null;
    this.absorbed = push(this.absorbed, at, speed, keepSeconds);
    this.#before = now;
  }
}
