import { expect, test } from 'vitest';
import { emptySeries, push, rate } from './series';

test('a series keeps the last seconds, gaps included', () => {
  let series = emptySeries;
  for (const [at, value] of [
    [0, 1],
    [5, null],
    [11, 3],
  ] as const)
    series = push(series, at, value, 10);
  expect(series).toEqual({ at: [5, 11], values: [null, 3] });
});

test('a rate needs two readings of a total that does not fall', () => {
  expect(rate(null, { at: 1, total: 5 })).toBeNull();
  expect(rate({ at: 1, total: 5 }, { at: 3, total: 9 })).toBe(2);
  expect(rate({ at: 1, total: 9 }, { at: 3, total: 0 })).toBeNull();
});
