/** What became of one attempt, in the words of the page. */
export interface Fate {
  label: string;
  means: string;
  tone: 'did' | 'absorbed' | 'refused' | 'open';
}

const fates: Record<string, Fate> = {
  executed: { label: 'executed', means: 'This attempt did the work.', tone: 'did' },
  replayed: {
    label: 'replayed',
    means: 'Same key, already done: the stored answer was sent again, byte for byte.',
    tone: 'absorbed',
  },
  waited: {
    label: 'waited',
    means: 'Its twin was still at work, so it waited and got the same answer.',
    tone: 'absorbed',
  },
  matched: {
    label: 'matched',
    means: 'Another key, but the same payment: the business key led it to the same outcome.',
    tone: 'absorbed',
  },
  rejected: { label: 'rejected', means: 'It was refused and changed nothing.', tone: 'refused' },
  recovered: {
    label: 'recovered',
    means:
      'It found work that a crash had left half done, and finished that instead of paying again.',
    tone: 'did',
  },
  interrupted: {
    label: 'interrupted',
    means: 'It ended without an outcome; whoever asks next finishes it.',
    tone: 'open',
  },
};

export function fateOf(name: string): Fate {
  return fates[name] ?? { label: name, means: 'The shop named this fate.', tone: 'open' };
}

const order = Object.keys(fates);

/** "1 executed · 12 replayed · 7 waited": fates are never lumped together. */
export function tally(counts: Record<string, number>): string {
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  return Object.entries(counts)
    .filter(([, n]) => n > 0)
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([name, n]) => `${n} ${fateOf(name).label}`)
    .join(' · ');
}

export const total = (counts: Record<string, number>): number =>
  Object.values(counts).reduce((sum, n) => sum + n, 0);
