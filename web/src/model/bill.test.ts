import { describe, expect, test } from 'vitest';
import type { Bill, Comparison, Guard, Trial } from '../api/shapes';
import { billLines, comparedWords, sentWords, shelfWords, standOf } from './bill';

const counts = {
  charges: 1,
  declines: 0,
  ledger_transactions: 1,
  mails: 1,
  tickets: 2,
  refunds: 0,
};
const bill = (rest: Partial<Bill> = {}): Bill => ({
  ...counts,
  counted_by: { charges: 'provider', mails: 'mailbox' },
  expected: counts,
  harm: [],
  ...rest,
});
const side = (charges: number, deliveries: number) => ({ deliveries, bill: bill({ charges }) });
const trial = (on: boolean, harm: boolean): Trial => ({
  guard: 'key',
  on,
  harm,
  harm_name: '',
  id: 'nai_0',
  bill: bill(),
  story: [],
});

describe('a bill', () => {
  test('says of each effect how many, how many were due, and who counted', () => {
    const lines = billLines(bill({ charges: 5, mails: 0 }));
    expect(lines.map(({ name, count, expected, off }) => [name, count, expected, off])).toEqual([
      ['charges', 5, 1, 'more'],
      ['ledger entry', 1, 1, 'right'],
      ['mails', 0, 1, 'less'],
      ['good tickets', 2, 2, 'right'],
    ]);
    expect(lines[0]?.by).toBe('provider');
  });

  test('shows 0 declines only where one was due', () => {
    const lines = billLines(bill({ expected: { ...counts, declines: 1 } }));
    expect(lines.map((line) => line.effect)).toContain('declines');
  });
});

test('a comparison is one sentence, and retries are told from clicks', () => {
  const seen = { clicks: 5, payonce: side(1, 5), naive: side(5, 8) } as Comparison;
  expect(comparedWords(seen)).toBe(
    '5 clicks on each side. payonce charged once, the naive shop 5 times.',
  );
  expect(sentWords(5, seen.payonce)).toBe('5 clicks');
  expect(sentWords(5, seen.naive)).toBe('5 clicks, 3 retries');
  expect(sentWords(1, side(1, 2))).toBe('1 click, 1 retry');
});

describe('a guard', () => {
  test('has its harm gone only after the harm was seen', () => {
    expect(standOf([])).toBe('untried');
    expect(standOf([trial(true, false)])).toBe('unharmed');
    expect(standOf([trial(false, true)])).toBe('harm');
    expect(standOf([trial(false, true), trial(true, false)])).toBe('gone');
  });

  test('on a shelf of 2 is counted with the other', () => {
    const shelf = [{ slug: 'key' }, { slug: 'inbox' }] as Guard[];
    expect(shelfWords(shelf, {})).toBe('None tried yet.');
    expect(shelfWords(shelf, { key: [trial(false, true)] })).toBe(
      '1 of 2 tried; 1 harm in the latest trials.',
    );
  });
});
