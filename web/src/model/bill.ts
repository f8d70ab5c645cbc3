import type { Bill, ComparedSide, Comparison, Guard, Trial } from '../api/shapes';

type Effect = 'charges' | 'declines' | 'ledger_transactions' | 'mails' | 'tickets' | 'refunds';

const words: Record<Effect, [one: string, many: string]> = {
  charges: ['charge', 'charges'],
  declines: ['decline', 'declines'],
  ledger_transactions: ['ledger entry', 'ledger entries'],
  mails: ['mail', 'mails'],
  tickets: ['good ticket', 'good tickets'],
  refunds: ['refund', 'refunds'],
};

const always: readonly Effect[] = ['charges', 'ledger_transactions', 'mails', 'tickets'];

export interface BillLine {
  effect: Effect;
  name: string;
  count: number;
  expected: number;
  /** Whose books the number is from. */
  by: string;
  off: 'right' | 'more' | 'less';
}

/** The effects of a bill in the order of their making; what can only be zero is left out. */
export function billLines(bill: Bill): BillLine[] {
  return (Object.keys(words) as Effect[])
    .filter((effect) => always.includes(effect) || bill[effect] > 0 || bill.expected[effect] > 0)
    .map((effect) => {
      const count = bill[effect];
      const expected = bill.expected[effect];
      const off = count === expected ? 'right' : count > expected ? 'more' : 'less';
      const name = words[effect][count === 1 ? 0 : 1];
      return { effect, name, count, expected, by: bill.counted_by[effect] ?? '', off };
    });
}

const times = (n: number): string => {
  if (n === 0) return 'not at all';
  return n === 1 ? 'once' : `${n} times`;
};

/** The one sentence of a comparison: the same clicks, and what either shop took for them. */
export function comparedWords(seen: Comparison): string {
  const clicks = seen.clicks === 1 ? '1 click' : `${seen.clicks} clicks`;
  const real = times(seen.payonce.bill.charges);
  const naive = times(seen.naive.bill.charges);
  return `${clicks} on each side. payonce charged ${real}, the naive shop ${naive}.`;
}

/** "5 clicks, 8 deliveries": what a buyer's patience adds is said, not hidden. */
export function sentWords(clicks: number, side: ComparedSide): string {
  const one = (n: number, word: string) => `${n} ${word}${n === 1 ? '' : 's'}`;
  const again = side.deliveries - clicks;
  return again > 0
    ? `${one(clicks, 'click')}, ${one(again, 'retry').replace('retrys', 'retries')}`
    : one(clicks, 'click');
}

export const faults = [
  { id: 'none', name: 'Nothing goes wrong' },
  { id: 'lost-answer', name: 'The provider’s answer is lost' },
  { id: 'kill-after-charge', name: 'It ends right after the charge' },
  { id: 'redeliver', name: 'The event is delivered twice' },
  { id: 'broker-away', name: 'The first publish fails' },
] as const;

/** Where a guard stands after its latest trial. */
export type Stand = 'untried' | 'harm' | 'gone' | 'unharmed';

/**
 * Gone is said only after the harm was seen: a guard that was never away has
 * shown nothing yet.
 */
export function standOf(trials: readonly Trial[]): Stand {
  const last = trials.at(-1);
  if (last === undefined) return 'untried';
  if (last.harm) return 'harm';
  return trials.some((trial) => trial.harm) ? 'gone' : 'unharmed';
}

export const standWords: Record<Stand, string> = {
  untried: 'on, like all the others',
  harm: 'away: the harm is there',
  gone: 'back: the harm is gone',
  unharmed: 'no harm seen',
};

export type Trials = Partial<Record<Guard['slug'], Trial[]>>;

/** How the shelf of guards stands as a whole. */
export function shelfWords(guards: readonly Guard[], trials: Trials): string {
  const stands = guards.map(({ slug }) => standOf(trials[slug] ?? []));
  const harmed = stands.filter((stand) => stand === 'harm').length;
  const tried = stands.filter((stand) => stand !== 'untried').length;
  if (tried === 0) return 'None tried yet.';
  const harms = harmed === 1 ? '1 harm' : `${harmed} harms`;
  return `${tried} of ${guards.length} tried; ${harmed === 0 ? 'no harm' : harms} in the latest trials.`;
}
