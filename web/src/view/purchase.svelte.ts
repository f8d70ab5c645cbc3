import { shop, type Answer } from '../api/client';
import {
  sleep,
  untilAnswered,
  untilSettled,
  type Outcome,
  type Patience,
  type Waiting,
} from '../api/patient';
import type { Order, Payment, Problem } from '../api/shapes';
import * as model from '../model/checkout';

/** How often one click asks before the page stops and offers a button instead. */
const askLimit = 30;

/**
 * One checkout and what is being done about it. A click is never prevented: the
 * button stays live, each click is one capture, and all of them carry K.
 */
export class Purchase {
  checkout = $state.raw<model.Checkout>(model.open(model.firstChoice));
  order = $state.raw<Order | null>(null);
  payment = $state.raw<Payment | null>(null);
  /** How many clicks have no outcome yet. */
  busy = $state(0);
  waiting = $state.raw<Waiting | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** True when asking again was given up without any answer. */
  silent = $state(false);
  #placing: Promise<Order | null> | null = null;
  #ready: Promise<unknown> = Promise.resolve();
  #stop = new AbortController();
  /** What each click that waits is waiting for; the page shows the latest. */
  #waits = new Map<symbol, Waiting>();

  constructor(
    private readonly told: {
      opened: () => void;
      placed: (order: Order) => void;
      settled: () => void;
    },
  ) {}

  /** Starts a checkout of its own, whose keys nobody has used. */
  open(choice: Partial<model.Choice> = {}): void {
    this.#begin(model.open({ ...model.choiceOf(this.checkout), ...choice }));
    this.order = null;
    this.payment = null;
    this.told.opened();
  }

  /** Goes on with a checkout that this tab kept, or with another tab's order. */
  async resume(checkout: model.Checkout): Promise<void> {
    this.#begin(checkout);
    if (checkout.orderId === null) return;
    const id = checkout.orderId;
    const outcome = await this.#ask((signal) => shop.order(id, signal));
    if (outcome.kind === 'ok') this.#know(outcome.body);
    else this.#fail(outcome);
  }

  /** A click that comes before that is kept until then: an order needs the concert and an address. */
  readyAfter(known: Promise<unknown>): void {
    this.#ready = known;
  }

  /** What the visitor has not chosen is chosen for him; a click that waits is for this. */
  fill(choice: Partial<model.Choice>): void {
    if (this.checkout.orderId === null) this.#keep({ ...this.checkout, ...choice });
  }

  choose(choice: Partial<model.Choice>): void {
    if (this.checkout.orderId === null && this.#placing === null) {
      this.#keep({ ...this.checkout, ...choice });
    } else {
      this.open(choice);
    }
  }

  chooseCard(card: string): void {
    const next = model.changeCard(this.checkout, card, this.payment?.status ?? null);
    if (next.orderKey === this.checkout.orderKey) this.#keep(next);
    else this.open({ card });
  }

  /** One click: the order once, then one capture with K, or with another key where somebody asks for it. */
  async pay(key = this.checkout.captureKey): Promise<void> {
    this.#keep({ ...this.checkout, clicks: this.checkout.clicks + 1 });
    this.busy++;
    this.problem = null;
    this.silent = false;
    const stop = this.#stop;
    const order = await this.place();
    if (order !== null) await this.#capture(order.payment, key);
    if (stop === this.#stop) this.busy--;
  }

  /** Places the order, once: whoever comes while it is being placed gets the same promise. */
  place(): Promise<Order | null> {
    if (this.order !== null) return Promise.resolve(this.order);
    if (this.#placing !== null) return this.#placing;
    const placing = this.#place().finally(() => {
      if (this.#placing === placing) this.#placing = null;
    });
    this.#placing = placing;
    return placing;
  }

  usedGateway(): void {
    this.#keep({ ...this.checkout, gateway: true });
  }

  know(payment: Payment): void {
    if (payment.id === this.order?.payment.id) this.payment = payment;
  }

  async #place(): Promise<Order | null> {
    const { signal } = this.#stop;
    await this.#ready;
    if (signal.aborted) return null;
    if (this.order !== null) return this.order;
    const { sku, quantity, email, orderKey } = this.checkout;
    const command = { items: [{ sku, quantity }], email };
    const outcome = await this.#ask((signal) => shop.placeOrder(command, orderKey, signal));
    if (outcome.kind !== 'ok') {
      this.#fail(outcome);
      return null;
    }
    this.#keep({ ...this.checkout, orderId: outcome.body.id });
    this.#know(outcome.body);
    return outcome.body;
  }

  async #capture(payment: Payment, key: string): Promise<void> {
    const { card } = this.checkout;
    const { amount_minor, currency } = payment;
    const command = { amount_minor, currency, card_token: card };
    let outcome: Outcome<Payment> = await this.#ask((signal) => {
      return shop.capture(payment.id, command, key, signal);
    });
    if (outcome.kind === 'ok' && outcome.status === 202) {
      const retryAfter = outcome.headers.get('Retry-After');
      outcome = await this.#unlessDropped((patience) =>
        untilSettled(() => shop.payment(payment.id, patience.signal), retryAfter, patience),
      );
    }
    const declined = outcome.kind === 'refused' && outcome.status === 402;
    if (!declined) this.#fail(outcome);
    if (outcome.kind !== 'dropped') this.told.settled();
  }

  #ask<T>(send: (signal: AbortSignal) => Promise<Answer<T>>): Promise<Outcome<T>> {
    return this.#unlessDropped((patience) => untilAnswered(() => send(patience.signal), patience));
  }

  /** A new checkout ends all waiting of the old one; that is no failure of anything. */
  async #unlessDropped<T>(
    asking: (patience: Patience) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const { signal } = this.#stop;
    const me = Symbol();
    const onWaiting = (waiting: Waiting | null) => {
      if (signal.aborted) return;
      this.#waits.delete(me);
      if (waiting !== null) this.#waits.set(me, waiting);
      this.waiting = [...this.#waits.values()].at(-1) ?? null;
    };
    try {
      return await asking({ signal, onWaiting, wait: sleep, limit: askLimit });
    } catch (thrown) {
      if (signal.aborted) return { kind: 'dropped' };
      throw thrown;
    }
  }

  #fail(outcome: Outcome<unknown>): void {
    if (outcome.kind === 'refused') this.problem = outcome.problem;
    if (outcome.kind !== 'gave-up') return;
    this.problem = outcome.problem;
    this.silent = outcome.problem === null;
  }

  #begin(checkout: model.Checkout): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#placing = null;
    this.busy = 0;
    this.#waits.clear();
    this.waiting = null;
    this.problem = null;
    this.silent = false;
    this.#keep(checkout);
  }

  #know(order: Order): void {
    this.order = order;
    this.payment = order.payment;
    this.told.placed(order);
  }

  /** Kept before anything is sent, so that a reload in between has the same keys. */
  #keep(checkout: model.Checkout): void {
    this.checkout = checkout;
    model.save(sessionStorage, checkout);
  }
}
