import type { Activity, Proof } from '../api/shapes';
import { total } from './fate';
import type { Senders } from './verdict';

const effects = ['charges', 'ledger_transactions', 'mails', 'tickets'] as const;

/** True when every effect that must come has come; more than that is for the verdict to say. */
export function arrived(proof: Proof): boolean {
  return effects.every((name) => {
    const expected = proof.expected[name];
    const seen = proof.effects[name];
    return expected === null || (seen !== null && seen >= expected);
  });
}

/**
 * True when the bounded journal no longer holds all that the proof counts. Read
 * the journal after the proof: an attempt is counted when it has ended.
 */
export function forgotten(history: readonly Activity[], proof: Proof | null): boolean {
  const captures = history.filter(({ operation }) => operation === 'capture');
  const arrivals = captures.filter(({ kind }) => kind === 'attempt.received');
  const traces = new Set(arrivals.map(({ trace_id }) => trace_id));
  const taken = captures.filter(
    ({ kind, trace_id }) => kind === 'interrupted' && !traces.has(trace_id),
  );
  return proof !== null && arrivals.length + taken.length < total(proof.attempts);
}

/** "5 clicks → 5 HTTP attempts → 9 broker deliveries → 1 charge, …": how many became how few. */
export function chain(proof: Proof, senders: Senders): string {
  const attempts = total(proof.attempts);
  const { charges, ledger_transactions, mails, tickets } = proof.effects;
  const steps = [
    senders.clicks > 0 ? amount(senders.clicks, 'click') : null,
    amount(attempts, 'HTTP attempt'),
    proof.broker_deliveries === null
      ? null
      : amount(proof.broker_deliveries, 'broker deliver', 'y', 'ies'),
    [
      amount(charges, 'charge'),
      amount(ledger_transactions, 'balanced ledger transaction'),
      amount(mails, 'mail'),
      amount(tickets, 'ticket'),
    ].join(', '),
  ];
  return steps.filter((step) => step !== null).join(' → ');
}

/** Where each twin was absorbed, one place after another. */
export function absorbedWords(proof: Proof): string {
  const { key, business_key, inbox, provider } = proof.absorbed;
  const places = [
    [key, 'by their key'],
    [business_key, 'by the payment itself'],
    [inbox, "by a consumer's inbox"],
    [provider, "by the provider's key"],
  ] as const;
  const found = places
    .filter(([n]) => n !== null && n > 0)
    .map(([n, where]) => `${n ?? 0} ${where}`);
  return found.length === 0
    ? 'Nothing had to be absorbed so far.'
    : `Twins absorbed: ${found.join(', ')}.`;
}

function amount(n: number | null, word: string, one = '', many = 's'): string {
  return `${n ?? '?'} ${word}${n === 1 ? one : many}`;
}
