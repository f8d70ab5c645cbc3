import { shop, type Answer } from '../api/client';
import { sleep, untilAnswered, type Waiting } from '../api/patient';
import type { Activity, Payment, Problem, Refund, Saga } from '../api/shapes';
import * as model from '../model/refund';
import { moving, type Decider, type SagaEnd } from '../model/saga';
import { Resource } from './resource.svelte';
import { tabStorage } from './storage.svelte';

export interface Story {
  refund: Refund;
  saga: Saga;
}

const askLimit = 30;
/** What the stream says comes at once; this is for what it could not say. */
const lookEvery = 1_500;
const refreshAfter = 120;

/** The refunds of one payment, and the wish for the next one. */
export class Refunds implements Decider {
  readonly stories = new Resource<Story[]>(() => this.#read());
  intent = $state.raw<model.RefundIntent>(model.openIntent());
  busy = $state(0);
  waiting = $state.raw<Waiting | null>(null);
  problem = $state.raw<Problem | null>(null);
  #paymentId: string | null = null;
  #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly settled: () => void) {}

  watch(paymentId: string | null): void {
    if (paymentId === this.#paymentId) return;
    this.stop();
    this.#stop = new AbortController();
    this.#paymentId = paymentId;
    this.stories.clear();
    this.problem = null;
    this.waiting = null;
    this.busy = 0;
    if (paymentId === null) return;
    this.intent = model.loadIntent(tabStorage, paymentId) ?? model.openIntent();
    void this.load();
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
    this.#paymentId = null;
  }

  /** Tells whether the event concerns these refunds; then they are read again soon. */
  heard(event: Activity): void {
    if (event.payment_id === undefined || event.payment_id !== this.#paymentId) return;
    if (this.stories.data === null && event.operation !== 'refund') return;
    this.#soon(refreshAfter);
  }

  async load(): Promise<void> {
    await this.stories.load();
    const failed = this.stories.data?.find(({ refund }) => refund.id === this.intent.refundId);
    // Its key stands for a refund that failed, and asks for no other.
    if (failed?.refund.status === 'failed')
      this.#keep(model.renewIntent(this.intent, this.intent.key));
    const active = this.stories.data?.some(({ saga }) => moving(saga)) ?? false;
    if (active) this.#soon(lookEvery);
    else this.settled();
  }

  choose(change: Partial<Pick<model.RefundIntent, 'amount' | 'reason'>>): void {
    this.#keep(model.changeIntent(this.intent, change));
  }

  another(): void {
    this.problem = null;
    this.#keep(model.openIntent());
  }

  /** One click, one request, and all clicks of one wish carry its key. */
  async request(payment: Payment): Promise<void> {
    const { key, amount, reason } = this.intent;
    const { signal } = this.#stop;
    this.#keep({ ...this.intent, clicks: this.intent.clicks + 1 });
    this.busy++;
    this.problem = null;
    const command = {
      payment_id: payment.id,
      reason,
      ...(amount === null ? {} : { amount_minor: amount }),
    };
    const outcome = await untilAnswered(() => shop.requestRefund(command, key, signal), {
      signal,
      wait: sleep,
      limit: askLimit,
      onWaiting: (waiting) => {
        if (!signal.aborted) this.waiting = waiting;
      },
    }).catch((thrown: unknown) => {
      if (signal.aborted) return null;
      throw thrown;
    });
    if (outcome === null) return;
    this.busy--;
    if (outcome.kind === 'ok' && this.intent.key === key) {
      this.#keep({ ...this.intent, refundId: outcome.body.id });
    }
    if (outcome.kind === 'refused' || outcome.kind === 'gave-up') this.problem = outcome.problem;
    if (outcome.kind === 'refused' && outcome.problem.retry_key === 'new') {
      this.#keep(model.renewIntent(this.intent, key));
    }
    await this.load();
  }

  async retry(saga: Saga): Promise<void> {
    await this.#decide(shop.retrySaga(saga.id));
  }

  async resolve(saga: Saga, outcome: SagaEnd, reason: string): Promise<boolean> {
    return this.#decide(shop.resolveSaga(saga.id, { outcome, reason }));
  }

  async #decide(sent: Promise<Answer<Saga>>): Promise<boolean> {
    const answer = await sent;
    this.problem = answer.kind === 'problem' ? answer.problem : null;
    await this.load();
    return answer.kind === 'ok';
  }

  async #read(): Promise<Answer<Story[]>> {
    const list = await shop.refunds(this.#paymentId ?? '');
    if (list.kind !== 'ok') return list;
    const sagas = await Promise.all(list.body.data.map((refund) => shop.saga(refund.id)));
    const stories: Story[] = [];
    for (const [i, saga] of sagas.entries()) {
      const refund = list.body.data[i];
      if (saga.kind !== 'ok') return saga;
      if (refund !== undefined) stories.push({ refund, saga: saga.body });
    }
    return { ...list, body: stories };
  }

  #soon(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.load(), ms);
  }

  #keep(intent: model.RefundIntent): void {
    this.intent = intent;
    if (this.#paymentId !== null) model.saveIntent(tabStorage, this.#paymentId, intent);
  }
}
