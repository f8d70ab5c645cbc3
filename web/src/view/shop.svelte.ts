import { lab, shop } from '../api/client';
import type { Activity, Attempt, Catalogue, Order, Problem, Proof } from '../api/shapes';
import {
  firstChoice,
  join,
  load as loadCheckout,
  open,
  randomKey,
  suffix,
} from '../model/checkout';
import { total } from '../model/fate';
import { arrived, forgotten } from '../model/proof';
import { verdict, type Verdict } from '../model/verdict';
import type { Repeat } from './Again.svelte';
import { Live } from './live.svelte';
import { Purchase } from './purchase.svelte';
import { Refunds } from './refunds.svelte';
import { Replay } from './replay.svelte';
import { Resource } from './resource.svelte';
import { tabStorage } from './storage.svelte';
import type { Visit } from './visit.svelte';

const refreshAfter = 150;
/** An attempt is journalled up to 100 ms after its answer. */
const settleAfter = 400;

/**
 * Everything the Shop page knows. The truth is read from the API (attempts,
 * proof, audit); the stream only says when to read it again, and what to draw.
 */
export class Shop {
  readonly catalogue = new Resource<Catalogue>(() => shop.catalogue());
  readonly attempts = new Resource<Attempt[]>(() => shop.attempts(this.#paymentId()));
  readonly proof = new Resource<Proof>(() => shop.proof(this.#paymentId()));
  readonly live = new Live(
    (event) => this.#heard(event),
    () => void this.refresh(true),
    () => {
      void this.refresh();
      void this.purchase.lookBeside();
    },
  );
  readonly replay = new Replay(this.live);
  readonly purchase = new Purchase({
    opened: () => this.#opened(),
    placed: (order) => this.#placed(order),
    settled: () => {
      void this.refresh();
      this.#soon(settleAfter);
    },
    said: () => this.verdict !== null && this.verdict.tone !== 'open',
  });
  readonly refunds = new Refunds(() => void this.refresh());
  /** How far the crash on purpose has come; null when none was asked for. */
  crash = $state<'arming' | 'armed' | 'fired' | 'refused' | null>(null);
  /** True for the checkout whose charge is answered by nobody. */
  lost = $state(false);
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #besideTimer: ReturnType<typeof setTimeout> | undefined;
  #expected = 0;
  #incompleteReads = 0;

  /** The concert on sale. There is one. */
  readonly concert = $derived(this.catalogue.data?.data[0] ?? null);
  readonly attemptCount = $derived(total(this.proof.data?.attempts ?? {}));
  readonly verdict = $derived.by((): Verdict | null => {
    const proof = this.proof.data;
    const payment = this.purchase.payment;
    if (proof === null || payment === null || this.attemptCount === 0) return null;
    if (payment.status === 'requires_capture') return null;
    return verdict(proof, payment.status, payment.decline_code, this.purchase.checkout);
  });

  /** What the scrubber offers to do again. */
  readonly repeat = $derived.by((): Repeat | null => {
    if (this.purchase.payment === null) return null;
    const { captureKey, card, sent } = this.purchase.checkout;
    const last = sent ?? { key: captureKey, card };
    return {
      suffix: suffix(last.key),
      send: (key) => this.purchase.pay(key === 'same' ? last : { key: randomKey(), card }),
    };
  });

  constructor(readonly visit: Visit) {}

  start(): () => void {
    const stopLive = this.live.start();
    this.purchase.readyAfter(this.#begin());
    return () => {
      stopLive();
      this.refunds.stop();
      clearTimeout(this.#refreshTimer);
      clearTimeout(this.#besideTimer);
    };
  }

  async #begin(): Promise<void> {
    const asked = new URLSearchParams(location.search).get('order');
    const kept = loadCheckout(tabStorage) ?? open(firstChoice);
    await Promise.all([
      this.catalogue.load(),
      this.visit.sandbox.load(),
      this.purchase.resume(asked !== null && kept.orderId !== asked ? join(kept, asked) : kept),
    ]);
    void this.purchase.lookBeside();
    const { sku, email } = this.purchase.checkout;
    this.purchase.fill({
      sku: this.concert?.sku ?? sku,
      email: email === '' ? (this.visit.sandbox.data?.email ?? '') : email,
    });
  }

  /** Reads attempts, proof, order and mail again; `restart` also forgets what was drawn. */
  async refresh(restart = false): Promise<void> {
    const order = this.purchase.order;
    if (order === null) return;
    const [, , fresh] = await Promise.all([
      this.attempts.load(),
      this.proof.load(),
      shop.order(order.id),
      this.visit.mailbox.load(),
      this.visit.audit.load(),
    ]);
    if (order.id !== this.purchase.order?.id) return;
    if (fresh.kind === 'ok') {
      this.purchase.order = fresh.body;
      this.purchase.know(fresh.body.payment);
    }
    if (restart) await this.#recall(order.payment.id);
    else this.live.learn(this.proof.data);
    this.#lookAgain();
  }

  async burst(attempts: number, keys: 'same' | 'fresh'): Promise<void> {
    if (!(await this.purchase.mayPay())) return;
    const order = await this.purchase.place();
    if (order === null) return;
    const before = this.attemptCount;
    this.purchase.usedGateway();
    const key = this.purchase.checkout.captureKey;
    const answer = await lab.burst({
      payment_id: order.payment.id,
      attempts,
      keys,
      card_token: this.purchase.checkout.card,
      ...(keys === 'same' ? { key } : {}),
    });
    if (answer.kind === 'problem') this.purchase.problem = answer.problem;
    else this.#expected = before + attempts;
    this.#incompleteReads = 0;
    await this.refresh();
  }

  /** A fresh checkout, a crash armed for it alone, and one click. */
  async killAfterCharge(): Promise<void> {
    this.purchase.open({ card: 'tok_ok' });
    this.crash = 'arming';
    const order = await this.purchase.place();
    if (order === null) return;
    const answer = await lab.killAfterCharge(order.payment.id);
    if (answer.kind === 'problem') {
      this.purchase.problem = answer.problem;
      this.crash = 'refused';
      return;
    }
    this.crash = 'armed';
    await this.purchase.pay();
  }

  /** A fresh checkout and one click, with the card whose charge is never answered. */
  async loseAnswer(): Promise<void> {
    this.purchase.open({ card: 'tok_timeout_after' });
    this.lost = true;
    await this.purchase.pay();
  }

  /** The ticket is used at the door; a refund that needs it back is then refused. */
  async checkIn(ticketId: string): Promise<Problem | null> {
    const answer = await shop.checkIn(ticketId);
    await this.refresh();
    return answer.kind === 'problem' ? answer.problem : null;
  }

  #paymentId = () => this.purchase.order?.payment.id ?? '';

  #opened(): void {
    this.attempts.clear();
    this.proof.clear();
    this.#expected = 0;
    this.#incompleteReads = 0;
    this.crash = null;
    this.lost = false;
    this.live.watch(null, null);
    this.refunds.watch(null);
    void this.purchase.lookBeside();
    if (location.search !== '') history.replaceState(null, '', '/');
  }

  #placed(order: Order): void {
    this.live.watch(order.payment.id, null);
    this.refunds.watch(order.payment.id);
    // Only a payment that somebody has touched has a past to read.
    if (order.payment.status !== 'requires_capture') void this.refresh(true);
  }

  #heard(event: Activity): void {
    const ours = event.payment_id === this.#paymentId() && event.payment_id !== '';
    if (ours) this.#incompleteReads = 0;
    else if (event.payment_id) this.#lookBesideSoon();
    this.refunds.heard(event);
    if (this.crash === 'armed' && event.kind === 'process.down') this.crash = 'fired';
    if (ours || event.kind === 'mail.sent') this.#soon(refreshAfter);
  }

  /** Begins the drawing anew, with the past as far as the journal still holds it. */
  async #recall(payment: string): Promise<void> {
    this.live.watch(payment, this.proof.data);
    const history = await shop.activity(payment);
    if (history.kind !== 'ok' || payment !== this.#paymentId()) return;
    if (!forgotten(history.body, this.proof.data)) this.live.remember(history.body);
  }

  /** Another payment of this visitor's has moved: it may be undecided, or no longer. */
  #lookBesideSoon(): void {
    clearTimeout(this.#besideTimer);
    this.#besideTimer = setTimeout(() => void this.purchase.lookBeside(), refreshAfter);
  }

  #soon(ms: number): void {
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(() => void this.refresh(), ms);
  }

  /** The journal is written in batches, so the last word may come a moment late. */
  #lookAgain(): void {
    const proof = this.proof.data;
    const touched = this.attemptCount > 0 || this.purchase.checkout.clicks > 0;
    const settled = proof !== null && arrived(proof) && this.attemptCount >= this.#expected;
    if (!touched || settled) return;
    const pause = Math.min(400 * 1.5 ** this.#incompleteReads++, 5_000);
    this.#soon(pause);
  }
}
