import { expect, test } from 'vitest';
import {
  changeCard,
  firstChoice,
  join,
  load,
  open,
  randomKey,
  renewCapture,
  renewOrder,
  save,
  suffix,
} from './checkout';
import { openIntent, renewIntent } from './refund';

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

test('another card before the charge is a new intent for the same order, whatever is known', () => {
  for (const status of ['declined', 'capturing', 'in_doubt', 'requires_capture', null]) {
    const first = open(firstChoice);
    const sent = { key: first.captureKey, card: first.card };
    const before = { ...first, orderId: 'ord_1', clicks: 1, sent };
    const after = changeCard(before, 'tok_slow', status);
    expect(after).toMatchObject({ orderId: 'ord_1', orderKey: first.orderKey, card: 'tok_slow' });
    expect(after.captureKey).not.toBe(before.captureKey);
    expect(after.sent).toEqual(sent);
  }
});

test('another card after the charge is a new checkout', () => {
  for (const status of ['captured', 'partially_refunded', 'refunded']) {
    const before = { ...open(firstChoice), orderId: 'ord_1', clicks: 1 };
    const after = changeCard(before, 'tok_slow', status);
    expect(after.orderId).toBeNull();
    expect(after.orderKey).not.toBe(before.orderKey);
  }
});

test('a refused key is drawn anew, another one is left as it is', () => {
  const before = open(firstChoice, counting());
  expect(renewCapture(before, 'key-2', () => 'new')).toEqual({ ...before, captureKey: 'new' });
  expect(renewCapture(before, 'key-0', () => 'new')).toEqual(before);
  expect(renewOrder(before, 'key-1', () => 'new')).toEqual({ ...before, orderKey: 'new' });
  const placed = { ...before, orderId: 'ord_1' };
  expect(renewOrder(placed, 'key-1', () => 'new')).toEqual(placed);
});

test('a checkout that an older page kept has sent nothing and accepted nothing', () => {
  const { sku, quantity, email, card, orderKey, captureKey, orderId } = open(firstChoice);
  const old = { sku, quantity, email, card, orderKey, captureKey, orderId, clicks: 1 };
  const store = { getItem: () => JSON.stringify(old), setItem: () => undefined };
  expect(load(store)).toMatchObject({ ...old, sent: null, said: false, beside: [] });
});

test('the same wish for a refund, after a refusal, has a key of its own', () => {
  const before = { ...openIntent(() => 'first'), amount: 42, reason: 'rain', clicks: 2 };
  expect(renewIntent(before, 'first', () => 'second')).toEqual({
    ...before,
    key: 'second',
    clicks: 0,
  });
  expect(renewIntent(before, 'other', () => 'second')).toEqual(before);
});

test('1000 random keys are 1000 different ones of 36 characters', () => {
  const keys = new Set(Array.from({ length: 1000 }, randomKey));
  expect(keys.size).toBe(1000);
  expect([...keys].every((key) => /^[0-9a-f-]{36}$/.test(key))).toBe(true);
  expect(suffix([...keys][0] ?? '')).toHaveLength(4);
});
