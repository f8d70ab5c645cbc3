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
  /** Milliseconds between the first attempt's arrival and the commit. */
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
  #received = new Map<string, number>();
  #realMs: number | null = null;

  /** Starts from nothing (a new checkout) or from what a proof can tell (a reload). */
  reset(proof: Proof | null): void {
    this.#fates.clear();
    this.#received.clear();
    this.#realMs = null;
    this.#trayBefore = {};
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
    const of = this.#of;
    const id = `${event.trace_id ?? event.attempt ?? event.id}`;
    const node = consumers.find((name) => name === event.node);
    switch (event.kind) {
      case 'attempt.received':
        count(of[origin], 'out');
        count(of.api, 'in');
        this.#received.set(id, Date.parse(event.at));
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
      case 'committed':
        this.#commit(event, id);
        break;
      case 'published':
        count(of.relay, 'in');
        count(of.relay, 'out');
        count(of.rabbitmq, 'in');
        break;
      case 'delivered':
        if (node === undefined) break;
        count(of.rabbitmq, 'out');
        count(of[node], 'in');
        break;
      case 'absorbed':
        if (node !== undefined) count(of[node], 'absorbed');
        break;
    }
  }

  #commit(event: Activity, id: string): void {
    if (consumers.some((name) => name === event.node)) return;
    count(this.#of.postgres, 'in');
    count(this.#of.postgres, 'out');
    const received = this.#received.get(id) ?? [...this.#received.values()][0];
    if (received !== undefined) this.#realMs = Math.max(0, Date.parse(event.at) - received);
  }

  read(proof: Proof | null): Stations {
    const of = structuredClone(this.#of);
    if (proof !== null) {
      of.provider.out = proof.effects.charges;
      of.ledger.out = proof.effects.ledger_transactions;
      of.email.out = proof.effects.mails;
      of.tickets.out = proof.effects.tickets;
    }
    const tray = { ...this.#trayBefore };
    for (const fate of this.#fates.values()) tray[fate] = (tray[fate] ?? 0) + 1;
    return { of, tray, down: new Set(this.#down), realMs: this.#realMs };
  }
}

function empty(value: 0 | null): Record<Node, Station> {
  const one = () => ({ in: value, out: value, absorbed: value });
  return Object.fromEntries(nodes.map((node) => [node, one()])) as Record<Node, Station>;
}

function count(station: Station, field: keyof Station): void {
  const before = station[field];
  if (before !== null) station[field] = before + 1;
}

/** What a screen reader is told the picture shows, rebuilt from state each time. */
export function describe(stations: Stations): string {
  const parts = nodes.map((node) => {
    if (stations.down.has(node)) return `${nodeNames[node]} is down and restarting`;
    return `${nodeNames[node]}: ${stationWords(node, stations.of[node])}`;
  });
  return `Live diagram of this payment. ${parts.join('. ')}.`;
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
