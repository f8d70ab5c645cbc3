import type { Activity, Proof } from '../api/shapes';
import { total } from './fate';
import { consumers, nodeNames, nodes, nodesOf, type Node } from './place';
import { inDoubt, type Origin } from './script';

/** The numbers of one node. Null is "not known", which happens after a reload. */
export interface Station {
  in: number | null;
  out: number | null;
  absorbed: number | null;
}

export interface Stations {
  of: Record<Node, Station>;
  /** What the tray answered, by fate; never lumped together. */
  tray: Record<string, number>;
  down: Set<Node>;
  /** Milliseconds between the arrival of the first attempt with the key and the commit. */
  realMs: number | null;
}

/**
 * Counts what the events say, at once, while the drawing plays them slowly. What
 * the outside world counts (charges, mails) comes from the proof and wins.
 */
export class Tally {
  #of = empty(0);
  #fates = new Map<string, string>();
  #trayBefore: Record<string, number> = {};
  #down = new Set<Node>();
  #arrived = new Set<string>();
  #interrupted = new Set<string>();
  /** When the first attempt with a key arrived. */
  #received = new Map<string, number>();
  #realMs: number | null = null;
  /** What the events themselves say was done outside, for looking back. */
  #did = { provider: 0, ledger: 0, email: 0, tickets: 0 };

  /** Starts from nothing (a new checkout) or from what a proof can tell (a reload). */
  reset(proof: Proof | null): void {
    this.#fates.clear();
    this.#arrived.clear();
    this.#interrupted.clear();
    this.#received.clear();
    this.#realMs = null;
    this.#trayBefore = {};
    this.#did = { provider: 0, ledger: 0, email: 0, tickets: 0 };
    const attempts = proof === null ? 0 : total(proof.attempts);
    if (proof === null || attempts === 0) {
      this.#of = empty(0);
      return;
    }
    this.#of = empty(null);
    this.#of.api = {
      in: attempts,
      out: (proof.attempts['executed'] ?? 0) + (proof.attempts['recovered'] ?? 0),
      absorbed: proof.absorbed.key + proof.absorbed.business_key,
    };
    this.#of.rabbitmq.out = proof.broker_deliveries;
    for (const fate of ['replayed', 'waited', 'matched']) {
      const n = proof.attempts[fate] ?? 0;
      if (n > 0) this.#trayBefore[fate] = n;
    }
  }

  process(name: string, up: boolean): void {
    for (const node of nodesOf(name)) {
      if (up) this.#down.delete(node);
      else this.#down.add(node);
    }
  }

  add(event: Activity, origin: Origin): void {
    if (event.operation === 'refund') this.#refund(event, origin);
    else if (event.operation === 'webhook' && event.kind === 'committed')
      count(this.#of.postgres, 'in', 'out');
    else if (consumers.some((name) => name === event.node)) this.#consume(event);
    else this.#capture(event, origin);
  }

  #capture(event: Activity, origin: Origin): void {
    const of = this.#of;
    const id = event.trace_id ?? event.id;
    switch (event.kind) {
      case 'attempt.received':
      case 'interrupted':
        this.#arrive(event, id, origin);
        break;
      case 'claimed':
        count(of.api, 'out');
        break;
      case 'replayed':
      case 'waited':
      case 'matched':
        if (inDoubt(event)) break;
        if (!this.#fates.has(id)) count(of.api, 'absorbed');
        this.#fates.set(id, event.kind);
        break;
      case 'charge.sent':
        count(of.provider, 'in');
        break;
      case 'charge.answered':
        if (event.detail === 'succeeded') this.#did.provider++;
        break;
      case 'committed':
        this.#commit(event);
        break;
      case 'published':
        count(of.relay, 'in', 'out');
        count(of.rabbitmq, 'in');
        break;
      case 'delivered':
        count(of.rabbitmq, 'out');
        if (event.type === 'provider.refund') count(of.provider, 'in');
        break;
    }
  }

  /** What its own process may have had no time to journal is journaled by who took over. */
  #arrive(event: Activity, id: string, origin: Origin): void {
    const afterwards = event.kind === 'interrupted';
    const known = afterwards ? this.#arrived : this.#interrupted;
    (afterwards ? this.#interrupted : this.#arrived).add(id);
    if (known.has(id)) return;
    count(this.#of[origin], 'out');
    count(this.#of.api, 'in');
    const key = event.key_suffix ?? '';
    const at = Date.parse(event.at);
    this.#received.set(key, Math.min(at, this.#received.get(key) ?? at));
  }

  /** A request for a refund names its payment by its outcome alone. */
  #refund(event: Activity, origin: Origin): void {
    const of = this.#of;
    if (!['committed', 'replayed', 'rejected'].includes(event.kind)) return;
    count(of[origin], 'out');
    count(of.api, 'in');
    if (event.kind === 'committed') {
      count(of.api, 'out');
      count(of.postgres, 'in', 'out');
    }
    if (event.kind === 'replayed') {
      count(of.api, 'absorbed');
      this.#fates.set(event.id, event.kind);
    }
  }

  #consume(event: Activity): void {
    const node = consumers.find((name) => name === event.node);
    if (node === undefined) return;
    switch (event.kind) {
      case 'delivered':
        count(this.#of.rabbitmq, 'out');
        count(this.#of[node], 'in');
        break;
      case 'absorbed':
        count(this.#of[node], 'absorbed');
        break;
      case 'applied':
        if (node === 'saga') count(this.#of.saga, 'out');
        if (node === 'ledger' || node === 'tickets') this.#did[node]++;
        break;
      case 'mail.sent':
        this.#did.email++;
        break;
    }
  }

  /** A commit names the key that opened the attempt, also when another one finished it. */
  #commit(event: Activity): void {
    count(this.#of.postgres, 'in', 'out');
    const received = this.#received.get(event.key_suffix ?? '');
    if (received !== undefined) this.#realMs = Math.max(0, Date.parse(event.at) - received);
  }

  /** How things stand now: what the outside world counts is taken from the proof. */
  read(proof: Proof | null): Stations {
    const of = structuredClone(this.#of);
    if (proof !== null) {
      of.provider.out = proof.effects.charges;
      of.ledger.out = proof.effects.ledger_transactions;
      of.email.out = proof.effects.mails;
      of.tickets.out = proof.effects.tickets;
    }
    return this.#show(of);
  }

  /**
   * How things stood after the events that were added, which no proof can tell
   * any more. It never shows more than the proof has now; tickets of one order
   * are issued together.
   */
  readAt(proof: Proof | null): Stations {
    const of = structuredClone(this.#of);
    const { charges, ledger_transactions, mails, tickets } = proof?.effects ?? {};
    const did = this.#did;
    of.provider.out = Math.min(did.provider, charges ?? did.provider);
    of.ledger.out = Math.min(did.ledger, ledger_transactions ?? did.ledger);
    of.email.out = Math.min(did.email, mails ?? did.email);
    of.tickets.out = did.tickets === 0 ? 0 : (tickets ?? did.tickets);
    return this.#show(of);
  }

  #show(of: Record<Node, Station>): Stations {
    const tray = { ...this.#trayBefore };
    for (const fate of this.#fates.values()) tray[fate] = (tray[fate] ?? 0) + 1;
    return { of, tray, down: new Set(this.#down), realMs: this.#realMs };
  }
}

function empty(value: 0 | null): Record<Node, Station> {
  const one = () => ({ in: value, out: value, absorbed: value });
  return Object.fromEntries(nodes.map((node) => [node, one()])) as Record<Node, Station>;
}

function count(station: Station, ...fields: (keyof Station)[]): void {
  for (const field of fields) {
    const before = station[field];
    if (before !== null) station[field] = before + 1;
  }
}

/** What a screen reader is told the picture shows, rebuilt from state each time. */
export function describe(stations: Stations): string {
  const parts = nodes.map((node) => {
    if (stations.down.has(node)) return `${nodeNames[node]} is down and restarting`;
    return `${nodeNames[node]}: ${stationWords(node, stations.of[node])}`;
  });
  return `Live diagram of this payment. ${parts.join('. ')}.`;
}

/** What is down, what that means, and that the rest goes on; empty when all is up. */
export function downWords(down: ReadonlySet<Node>): string {
  if (down.has('api')) {
    return 'The API does not answer and is being started again; what was asked is asked again with the same key.';
  }
  if (down.has('postgres')) return 'Postgres is away; nothing is decided until it is back.';
  const parts: string[] = [];
  if (down.has('ledger')) parts.push('The worker is down: events wait in their queues');
  if (down.has('rabbitmq')) parts.push('RabbitMQ is down: events wait in the outbox');
  if (down.has('relay')) parts.push('The relay is down: events wait in the outbox');
  if (down.has('provider')) parts.push('The provider is down: charges wait');
  return parts.length === 0 ? '' : `${parts.join('. ')}. It is being started again.`;
}

/** The numbers of a node with the word that fits it: 7 sent, 1 charge, 2 absorbed. */
export function stationWords(node: Node, station: Station): string {
  const parts: string[] = [];
  const say = (n: number | null, word: string) => parts.push(`${n ?? '–'} ${word}`);
  if (node === 'browser' || node === 'gateway') {
    say(station.out, 'sent');
    return parts.join(' · ');
  }
  say(station.in, 'in');
  say(station.out, 'out');
  if (node === 'api' || consumers.includes(node)) say(station.absorbed, 'absorbed');
  return parts.join(' · ');
}
