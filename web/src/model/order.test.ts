import { expect, test } from 'vitest';
import type { Activity } from '../api/shapes';
import { InOrder } from './order';

const event = (id: string, ms: number): Activity => ({
  id,
  at: new Date(1_700_000_000_000 + ms).toISOString(),
  kind: 'delivered',
  node: 'ledger',
});

const ids = (events: Activity[]) => events.map(({ id }) => id);

test('a delivery heard 50 ms before the capture that caused it is told after it', () => {
  const order = new InOrder();
  order.push(event('delivered', 20), 0);
  order.push(event('committed', 10), 50);
  expect(order.take(100)).toEqual([]);
  expect(ids(order.take(180))).toEqual(['committed', 'delivered']);
  expect(order.waiting).toBe(false);
});

test('2 events of one moment keep the order in which they came', () => {
  const order = new InOrder();
  order.push(event('claimed', 5), 0);
  order.push(event('charge.sent', 5), 1);
  expect(ids(order.take(200))).toEqual(['claimed', 'charge.sent']);
});

test('what happened later waits its own 180 ms', () => {
  const order = new InOrder();
  order.push(event('first', 0), 0);
  order.push(event('second', 100), 100);
  expect(ids(order.take(180))).toEqual(['first']);
  expect(order.waiting).toBe(true);
  expect(ids(order.take(280))).toEqual(['second']);
});
