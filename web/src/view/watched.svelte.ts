import { shop } from '../api/client';
import type { Activity, Payment, Proof } from '../api/shapes';
import { firstChoice, load, randomKey, suffix } from '../model/checkout';
import { forgotten } from '../model/proof';
import type { Repeat } from './Again.svelte';
import { Live } from './live.svelte';
import { Replay } from './replay.svelte';
import { Resource } from './resource.svelte';
import { tabStorage } from './storage.svelte';

const refreshAfter = 200;
/** Mails and charges are counted outside, a moment after the last event. */
const lookAgainAfter = 1_500;

/**
 * The payment that /x-ray shows: the one that the address names, or the newest
 * of the sandbox, and then the next one as soon as somebody pays. While the
 * viewer looks back, a newer one waits to be asked for.
 */
export class Watched {
  payment = $state<string | null>(null);
  /** A newer payment, while this one is held. */
  newer = $state<string | null>(null);
  readonly newest = new Resource<{ data: Payment[] }>(() => shop.payments());
  readonly facts = new Resource<Payment>(() => shop.payment(this.payment ?? ''));
  readonly proof = new Resource<Proof>(() => shop.proof(this.payment ?? ''));
  readonly live = new Live(
    (event) => this.#heard(event),
    () => void this.open(this.payment),
    () => void this.#recall(),
  );
  readonly replay = new Replay(this.live);
  /** The payment once more, as its buyer would: what comes of it is seen in the picture. */
  readonly repeat = $derived.by((): Repeat | null => {
    const facts = this.facts.data;
    if (facts === null) return null;
    const kept = load(tabStorage);
    const mine = kept !== null && kept.orderId === facts.order_id ? kept : null;
    const last = mine === null ? null : (mine.sent ?? { key: mine.captureKey, card: mine.card });
    return {
      suffix: last === null ? null : suffix(last.key),
      send: async (key) => {
        const { amount_minor, currency } = facts;
        const command = { amount_minor, currency, card_token: last?.card ?? firstChoice.card };
        const used = key === 'same' && last !== null ? last.key : randomKey();
        await shop.capture(facts.id, command, used, new AbortController().signal);
      },
    };
  });
  #timers: ReturnType<typeof setTimeout>[] = [];

  /** `asked` is a payment to stay with; null follows the newest. */
  constructor(readonly asked: string | null) {}

  start(): () => void {
    const stop = this.live.start();
    if (this.asked === null) void this.findNewest();
    else void this.open(this.asked);
    return () => {
      stop();
      for (const timer of this.#timers) clearTimeout(timer);
    };
  }

  async findNewest(): Promise<void> {
    await this.newest.load();
    const found = this.newest.data?.data[0];
    if (this.payment === null && found !== undefined) await this.open(found.id);
  }

  async open(payment: string | null): Promise<void> {
    if (payment === null) return;
    this.payment = payment;
    this.newer = null;
    this.facts.clear();
    this.proof.clear();
    this.live.watch(payment, null);
    await this.#recall();
  }

  /** Reads everything again; what the journal has forgotten, the proof must tell. */
  async #recall(): Promise<void> {
    const { payment } = this;
    if (payment === null) return;
    await Promise.all([this.facts.load(), this.proof.load()]);
    const history = await shop.activity(payment);
    if (payment !== this.payment || history.kind !== 'ok') return;
    const proof = this.proof.data;
    if (!forgotten(history.body, proof)) {
      this.live.remember(history.body);
      this.live.learn(proof);
    } else if (this.live.story.length === 0) {
      this.live.watch(payment, proof);
    }
  }

  #heard(event: Activity): void {
    const { payment_id: id, kind, operation } = event;
    if (id === undefined) return;
    const begins = kind === 'attempt.received' && operation === 'capture';
    if (begins && this.asked === null && id !== this.payment) {
      if (this.payment === null || this.replay.shown.live) void this.open(id);
      else this.newer = id;
      return;
    }
    if (id === this.payment) this.#soon();
  }

  #soon(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [refreshAfter, lookAgainAfter].map((ms) =>
      setTimeout(() => void this.#refresh(), ms),
    );
  }

  async #refresh(): Promise<void> {
    const { payment } = this;
    await Promise.all([this.facts.load(), this.proof.load()]);
    if (payment === this.payment) this.live.learn(this.proof.data);
  }
}
