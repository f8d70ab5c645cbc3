import { expect, test } from 'vitest';
import type { Activity } from '../api/shapes';
import { proof } from './proof.example';
import { carried, ofStory } from './script';
import { describe as words, Tally } from './station';

const event = (kind: Activity['kind'], node: string, trace: string, at = 0): Activity => ({
  id: `${kind}${trace}${node}`,
  at: new Date(1_700_000_000_000 + at).toISOString(),
  kind,
  node,
  trace_id: trace,
});

test('2 clicks are 2 in, 1 through and 1 absorbed at the api', () => {
  const tally = new Tally();
  tally.add(event('attempt.received', 'browser', 'a'), 'browser');
  tally.add(event('attempt.received', 'browser', 'b'), 'browser');
  tally.add(event('claimed', 'api', 'a'), 'browser');
  tally.add(event('replayed', 'api', 'b'), 'browser');
  const read = tally.read(null);
  expect(read.of.browser.out).toBe(2);
  expect(read.of.api).toEqual({ in: 2, out: 1, absorbed: 1 });
  expect(read.tray).toEqual({ replayed: 1 });
});

test('a twin that waited and was then replayed is absorbed once, under its last fate', () => {
  const tally = new Tally();
  tally.add(event('waited', 'api', 'b'), 'browser');
  tally.add(event('replayed', 'api', 'b'), 'browser');
  expect(tally.read(null).tray).toEqual({ replayed: 1 });
  expect(tally.read(null).of.api.absorbed).toBe(1);
});

test('charges and mails are those of the proof, not the events', () => {
  const tally = new Tally();
  for (const trace of ['a', 'b', 'c'])
    tally.add(event('charge.sent', 'provider', trace), 'browser');
  expect(tally.read(proof()).of.provider).toMatchObject({ in: 3, out: 1 });
  expect(tally.read(proof()).of.email.out).toBe(1);
});

test('a worker that dies takes 4 consumers down, and brings 4 back', () => {
  const tally = new Tally();
  tally.process('worker', false);
  expect([...tally.read(null).down]).toEqual(['ledger', 'email', 'tickets', 'saga']);
  expect(words(tally.read(null))).toContain('Ledger is down and restarting');
  tally.process('worker', true);
  expect(tally.read(null).down.size).toBe(0);
});

test('the real time runs from the first arrival to the commit: 31 ms', () => {
  const tally = new Tally();
  tally.add(event('attempt.received', 'browser', 'a', 100), 'browser');
  tally.add(event('attempt.received', 'browser', 'b', 101), 'browser');
  tally.add(event('committed', 'postgres', 'a', 131), 'browser');
  expect(tally.read(null).realMs).toBe(31);
});

test('an attempt whose process died is counted once, and the real time begins with it: 15 s', () => {
  for (const journalled of [true, false]) {
    const tally = new Tally();
    const keyed = { key_suffix: '9f3c', operation: 'capture' };
    if (journalled) {
      tally.add({ ...event('attempt.received', 'browser', 'a', 0), ...keyed }, 'browser');
    }
    tally.add({ ...event('attempt.received', 'browser', 'b', 14_900), ...keyed }, 'browser');
    tally.add({ ...event('interrupted', 'api', 'a', 0), ...keyed }, 'browser');
    tally.add({ ...event('committed', 'postgres', 'b', 15_000), ...keyed }, 'browser');
    tally.add({ ...event('recovered', 'api', 'b', 15_001), ...keyed }, 'browser');
    const read = tally.read(null);
    expect([read.of.api.in, read.of.browser.out, read.realMs]).toEqual([2, 2, 15_000]);
    expect(read.tray).toEqual({});
  }
});

test('after a reload what the proof cannot tell is unknown, never 0', () => {
  const tally = new Tally();
  tally.reset(proof());
  const read = tally.read(proof());
  expect(read.of.api).toEqual({ in: 2, out: 1, absorbed: 1 });
  expect(read.of.relay.in).toBeNull();
  expect(words(read)).toContain('Relay: – in');
});

test('looking back counts what the events had said by then, never more than the proof', () => {
  const tally = new Tally();
  tally.add(event('attempt.received', 'browser', 'a'), 'browser');
  tally.add({ ...event('charge.answered', 'provider', 'a'), detail: 'succeeded' }, 'browser');
  expect(tally.readAt(proof()).of.provider.out).toBe(1);
  expect(tally.readAt(proof()).of.ledger.out).toBe(0);
  expect(tally.readAt(proof()).of.tickets.out).toBe(0);
  tally.add(event('applied', 'ledger', 'a'), 'browser');
  tally.add(event('applied', 'ledger', 'a'), 'browser');
  tally.add(event('applied', 'tickets', 'a'), 'browser');
  expect(tally.readAt(proof()).of.ledger.out).toBe(1);
  expect(tally.readAt(proof()).of.tickets.out).toBe(2);
  expect(tally.read(proof()).of.ledger.out).toBe(1);
});

test('a refund asked for twice is 2 in, 1 through, 1 absorbed, and the saga takes its steps', () => {
  const tally = new Tally();
  const asked = { operation: 'refund', payment_id: 'pay_1' };
  tally.add({ ...event('committed', 'postgres', 'a'), ...asked }, 'browser');
  tally.add({ ...event('replayed', 'api', 'b'), ...asked }, 'browser');
  tally.add({ ...event('delivered', 'saga', 'c'), type: 'refund.requested' }, 'browser');
  tally.add({ ...event('applied', 'saga', 'c'), type: 'refund.requested' }, 'browser');
  const { of } = tally.read(null);
  expect(of.api).toEqual({ in: 2, out: 1, absorbed: 1 });
  expect(of.saga).toEqual({ in: 1, out: 1, absorbed: 0 });
  expect(of.postgres).toEqual({ in: 1, out: 1, absorbed: 0 });
});

test('what the provider said goes through the broker too: its delivery is one, and moves nothing', () => {
  const tally = new Tally();
  const said = { type: 'provider.charge_succeeded', operation: 'webhook' };
  const captured = { type: 'payment.captured' };
  const events: Activity[] = [
    { ...event('published', 'relay', 'a'), ...captured },
    ...['ledger', 'email', 'tickets'].map((node) => ({
      ...event('delivered', node, 'a'),
      ...captured,
    })),
    { ...event('published', 'relay', 'b'), ...said },
    { ...event('delivered', 'provider', 'b'), ...said },
  ];
  for (const one of events) tally.add(one, 'browser');
  expect(tally.read(null).of.rabbitmq).toMatchObject({ in: 2, out: 4 });
  expect(tally.read(null).of.provider.in).toBe(0);
  expect(events.filter((one) => carried(one) && !ofStory(one))).toEqual(events.slice(4));
});
