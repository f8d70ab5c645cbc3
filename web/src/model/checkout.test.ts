import { expect, test } from 'vitest';
import { changeCard, firstChoice, join, load, open, randomKey, save, suffix } from './checkout';

const counting = () => {
  let n = 0;
  return () => `key-${++n}`;
};

test('a checkout has 2 keys, one to place the order and one to pay', () => {
  expect(open(firstChoice, counting())).toMatchObject({ orderKey: 'key-1', captureKey: 'key-2' });
});

test('after a reload the same intent has the same key', () => {
  const kept = new Map<string, string>();
  const store = {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => void kept.set(name, value),
  };
  const checkout = open(firstChoice);
  save(store, checkout);
  expect(load(store)).toEqual(checkout);
});

test('a store with nonsense in it is a store with 0 checkouts', () => {
  const store = { getItem: () => '{"half', setItem: () => undefined };
  expect(load(store)).toBeNull();
});

test('a second tab on the same order pays with a key of its own', () => {
  const first = open(firstChoice);
  const second = join(first, 'ord_1');
  expect(second.orderId).toBe('ord_1');
  expect(second.captureKey).not.toBe(first.captureKey);
});

test('another card before the first click changes 0 keys', () => {
  const before = open(firstChoice);
  const after = changeCard(before, 'tok_slow', null);
  expect(after.captureKey).toBe(before.captureKey);
  expect(after.card).toBe('tok_slow');
});

test('another card after a decline is a new intent for the same order', () => {
  const before = { ...open(firstChoice), orderId: 'ord_1', clicks: 1 };
  const after = changeCard(before, 'tok_ok', 'declined');
  expect(after.orderId).toBe('ord_1');
  expect(after.captureKey).not.toBe(before.captureKey);
});

test('another card after a capture is a new checkout', () => {
  const before = { ...open(firstChoice), orderId: 'ord_1', clicks: 1 };
  const after = changeCard(before, 'tok_slow', 'captured');
  expect(after.orderId).toBeNull();
  expect(after.orderKey).not.toBe(before.orderKey);
});

test('1000 random keys are 1000 different ones of 36 characters', () => {
  const keys = new Set(Array.from({ length: 1000 }, randomKey));
  expect(keys.size).toBe(1000);
  expect([...keys].every((key) => /^[0-9a-f-]{36}$/.test(key))).toBe(true);
  expect(suffix([...keys][0] ?? '')).toHaveLength(4);
});
