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
import { tabStorage } from './storage.svelte';

/** How often one click asks before the page stops and offers a button instead. */
const askLimit = 30;
/** In these states no card was charged, so another one may be sent. */
const mayCharge = ['requires_capture', 'declined'];

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
  /** True when the outcome is an earlier card's, and the one chosen last was not sent. */
  otherCard = $state(false);
  /** This visitor's payments that may have been charged or not. */
  #undecided = $state.raw<Payment[]>([]);
  /** Those that were charged after this tab had left them undecided: the page has not said so yet. */
  #charged = $state.raw<Payment[]>([]);
  /** Those that another charge would stand beside, and that the visitor has not accepted. */
  readonly beside = $derived(
    [...this.#undecided, ...this.#charged].filter(
      ({ id }) => id !== this.payment?.id && !this.checkout.beside.includes(id),
    ),
  );
  /** True when a click waits for the visitor's choice about them. */
  asked = $state(false);
  #looking: Promise<boolean> | null = null;
  #looks = 0;
  /** Payments that this tab left while a capture was on its way, or its outcome was not said. */
  #left = new Set<string>();
  #placing: Promise<Order | null> | null = null;
  #ready: Promise<unknown> = Promise.resolve();
  #stop = new AbortController();
  /** What each click that waits is waiting for; the page shows the latest. */
  #waits = new Map<symbol, Waiting>();

  constructor(
    private readonly notify: {
      opened: () => void;
      placed: (order: Order) => void;
      settled: () => void;
      /** Whether the page says how this checkout has ended. */
      said: () => boolean;
    },
  ) {}

  /** Starts a checkout of its own, whose keys nobody has used. */
  open(choice: Partial<model.Choice> = {}): void {
    const { clicks, gateway, said } = this.checkout;
    // Charged and not said so, it looks to the visitor as if nothing was sent.
    const unsaid = (clicks > 0 || gateway) && !said && !this.notify.said();
    if (this.order !== null && (this.busy > 0 || unsaid)) this.#left.add(this.order.payment.id);
    this.#begin(model.open({ ...model.choiceOf(this.checkout), ...choice }));
    this.order = null;
    this.payment = null;
    this.notify.opened();
  }

  /** The page says how this checkout has ended. That it was charged is kept: a page that is opened again has said it too. */
  saying(): void {
    if (!this.checkout.said && model.paid(this.payment?.status ?? null)) {
      this.#keep({ ...this.checkout, said: true });
    }
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

  /** Goes on with a payment that is undecided, instead of making another one. */
  async finish(payment: Payment): Promise<void> {
    this.#left.delete(payment.id);
    this.#charged = this.#charged.filter(({ id }) => id !== payment.id);
    this.order = null;
    this.payment = null;
    this.notify.opened();
    await this.resume(model.join(this.checkout, payment.order_id));
    await this.lookBeside();
  }

  /** Pays although something is undecided: the visitor was asked, and wants both. */
  async payBoth(): Promise<void> {
    const accepted = this.beside.map(({ id }) => id);
    this.#keep({ ...this.checkout, beside: [...this.checkout.beside, ...accepted] });
    await this.pay();
  }

  /** A click that comes before that is kept until then: an order needs the concert and an address. */
  readyAfter(known: Promise<unknown>): void {
    this.#ready = known;
  }

  /** What the visitor has not chosen is chosen for him; a click that waits is for this. */
  fill(choice: Partial<model.Choice>): void {
    if (this.checkout.orderId === null) this.#keep({ ...this.checkout, ...choice });
  }

  /** What is being typed, so that nothing that is filled in meanwhile writes over it. */
  type(choice: Partial<model.Choice>): void {
    if (this.checkout.orderId === null && this.#placing === null) this.choose(choice);
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
  async pay(
    { key, card }: model.Sent = { key: this.checkout.captureKey, card: this.checkout.card },
  ): Promise<void> {
    if (key === this.checkout.captureKey) this.#keep({ ...this.checkout, sent: { key, card } });
    this.busy++;
    this.problem = null;
    this.silent = false;
    this.otherCard = false;
    const stop = this.#stop;
    if (await this.mayPay()) {
      this.#keep({ ...this.checkout, clicks: this.checkout.clicks + 1 });
      const order = await this.place();
      if (order !== null && stop === this.#stop) await this.#capture(order.payment, { key, card });
    }
    if (stop === this.#stop) this.busy--;
  }

  /**
   * Asks the shop, before what could be a charge, whether a payment is undecided
   * that this one would stand beside. If so the visitor has to choose.
   */
  async mayPay(): Promise<boolean> {
    const { signal } = this.#stop;
    await this.#ready;
    if (signal.aborted) return false;
    // Undecided or paid itself, it is asked for once more and not paid beside anything.
    if (!mayCharge.includes(this.payment?.status ?? 'requires_capture')) return true;
    this.#looking ??= this.#lookFirst().finally(() => (this.#looking = null));
    const known = await this.#looking;
    if (signal.aborted) return false;
    this.asked = this.beside.length > 0;
    return known && !this.asked;
  }

  /** Reads which payments are undecided, for the eye alone: what fails is read again later. */
  async lookBeside(): Promise<void> {
    const { signal } = this.#stop;
    const look = ++this.#looks;
    try {
      const listed = await shop.undecided(signal);
      if (listed.kind !== 'ok' || look !== this.#looks) return;
      // Of a capture on its way the shop does not know yet.
      const sent = this.#undecided.filter(
        ({ id, status }) => this.#left.has(id) && status === 'requires_capture',
      );
      const known = new Set(listed.body.data.map(({ id }) => id));
      this.#found([...listed.body.data, ...sent.filter(({ id }) => !known.has(id))]);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  async #lookFirst(): Promise<boolean> {
    this.#looks++;
    const listed = await this.#ask((signal) => shop.undecided(signal));
    if (listed.kind !== 'ok') {
      this.#fail(listed);
      return false;
    }
    const found = [...listed.body.data];
    const charged: Payment[] = [];
    // Also what the page shows as undecided, and what is decided by now.
    for (const id of new Set([...this.#left, ...this.beside.map((shown) => shown.id)])) {
      if (found.some((listed) => listed.id === id)) continue;
      const left = await this.#ask((signal) => shop.payment(id, signal));
      if (left.kind !== 'ok') return false;
      const { status } = left.body;
      // Sent and not heard of yet: it may still arrive.
      if (status === 'requires_capture') found.push(left.body);
      else if (mayCharge.includes(status)) this.#left.delete(id);
      else if (!model.undecided(status)) charged.push(left.body);
    }
    this.#charged = charged;
    this.#found(found);
    return true;
  }

  #found(undecided: Payment[]): void {
    this.#undecided = undecided;
    if (this.beside.length === 0) this.asked = false;
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
    const { captureKey: key, card } = this.checkout;
    this.#keep({ ...this.checkout, gateway: true, sent: { key, card } });
  }

  know(payment: Payment): void {
    if (payment.id !== this.order?.payment.id) return;
    this.payment = payment;
    const { sent, captureKey } = this.checkout;
    const declined = payment.status === 'declined' && this.busy === 0;
    // However it was found out: the key has the decline for its answer.
    if (declined && sent?.key === captureKey) this.#renew(captureKey);
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
      const kept = outcome.kind === 'refused' && outcome.problem.retry_key === 'new';
      if (kept) this.#keep(model.renewOrder(this.checkout, orderKey));
      return null;
    }
    this.#keep({ ...this.checkout, orderId: outcome.body.id });
    this.#know(outcome.body);
    return outcome.body;
  }

  /**
   * Sends one capture until its outcome is known. While an earlier card's is not,
   * this one waits: it is sent when that one turns out not to have been charged.
   */
  async #capture(payment: Payment, { key, card }: model.Sent): Promise<void> {
    const { amount_minor, currency } = payment;
    const command = { amount_minor, currency, card_token: card };
    let outcome: Outcome<Payment>;
    let theirs = false;
    for (let again = 1; ; again++) {
      outcome = await this.#ask((signal) => shop.capture(payment.id, command, key, signal));
      if (outcome.kind !== 'ok') break;
      theirs = outcome.headers.get('Payonce-Matched') === 'other-card';
      if (outcome.status !== 202) break;
      const retryAfter = outcome.headers.get('Retry-After');
      outcome = await this.#unlessDropped((patience) =>
        untilSettled(() => shop.payment(payment.id, patience.signal), retryAfter, patience),
      );
      const free = outcome.kind === 'ok' && mayCharge.includes(outcome.body.status);
      if (!theirs || !free || again >= askLimit) break;
    }
    if (outcome.kind === 'dropped') return;
    const charged = outcome.kind === 'ok' && !mayCharge.includes(outcome.body.status);
    // Only said, never unsaid: the earlier card's own click may end after this one.
    if (theirs && charged) this.otherCard = true;
    if (outcome.kind === 'refused' && outcome.problem.retry_key === 'new') this.#renew(key);
    const declined = outcome.kind === 'refused' && outcome.status === 402;
    if (!declined) this.#fail(outcome);
    this.notify.settled();
  }

  #renew(refused: string): void {
    this.#keep(model.renewCapture(this.checkout, refused));
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
    this.otherCard = false;
    this.asked = false;
    this.#looking = null;
    this.#keep(checkout);
  }

  #know(order: Order): void {
    this.order = order;
    this.payment = order.payment;
    this.notify.placed(order);
  }

  /** Kept before anything is sent, so that a reload in between has the same keys. */
  #keep(checkout: model.Checkout): void {
    this.checkout = checkout;
    model.save(tabStorage, checkout);
  }
}
