import { describe, expect, test } from 'vitest';
import type { Activity } from '../api/shapes';
import { ofStory, script } from './script';
import { tickOf } from './tick';

const event = (kind: Activity['kind'], node: string, more: Partial<Activity> = {}): Activity => ({
  id: 'e1',
  at: '2026-01-01T00:00:00Z',
  kind,
  node,
  payment_id: 'pay_1',
  ...more,
});

const drawn = (kind: Activity['kind'], node: string, more: Partial<Activity> = {}) =>
  script(event(kind, node, more), 'browser');

describe('the story of a refund', () => {
  test('is of the payment, and placing the order or a charge’s webhook is not', () => {
    expect(ofStory(event('committed', 'postgres', { operation: 'refund' }))).toBe(true);
    for (const type of ['refund.requested', 'ledger.hold_refund', 'tickets.void.done']) {
      expect(ofStory(event('published', 'relay', { type }))).toBe(true);
    }
    expect(ofStory(event('applied', 'provider', { type: 'provider.refund' }))).toBe(true);
    expect(ofStory(event('committed', 'postgres', { operation: 'order' }))).toBe(false);
    expect(ofStory(event('published', 'relay', { type: 'order.placed' }))).toBe(false);
    expect(ofStory(event('published', 'relay', { type: 'provider.charge_succeeded' }))).toBe(false);
  });

  test('begins at the browser and commits in one box', () => {
    const asked = drawn('committed', 'postgres', { operation: 'refund', key_suffix: '9f3c' });
    expect(asked).toMatchObject({
      route: ['browser', 'gate', 'api', 'postgres'],
      flash: 'postgres',
      label: '9f3c',
      event: 'e1',
    });
  });

  test('asked for again it returns hollow from the tray', () => {
    expect(drawn('replayed', 'api', { operation: 'refund' })).toMatchObject({
      route: ['browser', 'gate', 'tray', 'browser'],
      style: 'hollow',
    });
  });

  test('goes from RabbitMQ to the saga, and each command to who does it', () => {
    expect(drawn('delivered', 'saga', { type: 'refund.requested' })?.route).toEqual([
      'rabbitmq',
      'saga',
    ]);
    expect(drawn('delivered', 'tickets', { type: 'tickets.void' })).toMatchObject({
      label: 'void',
      caption: 'Tickets gets a command: void the tickets.',
    });
    expect(drawn('delivered', 'provider', { type: 'provider.refund' })?.route).toEqual([
      'rabbitmq',
      'provider',
    ]);
  });

  test('a refusal says so on its token, in its caption, and as a cross on the scrubber', () => {
    const refusal = event('published', 'relay', { type: 'provider.refund.failed' });
    expect(script(refusal, 'browser')).toMatchObject({
      label: 'refund ✗',
      caption: 'The answer to “give the money back” goes back to the saga: refused.',
    });
    expect(tickOf(refusal)).toBe('refused');
  });

  test('a webhook of the provider is drawn from outside in, and delivered to nobody drawn', () => {
    const type = 'provider.refund_succeeded';
    expect(drawn('committed', 'postgres', { operation: 'webhook', type })?.route).toEqual([
      'provider',
      'api',
      'postgres',
    ]);
    expect(drawn('delivered', 'provider', { type })).toBeNull();
  });
});

test('5 kinds of ticks: on its way, took effect, absorbed, open, refused', () => {
  expect(tickOf(event('delivered', 'ledger'))).toBe('moved');
  expect(tickOf(event('applied', 'ledger'))).toBe('did');
  expect(tickOf(event('waited', 'api'))).toBe('absorbed');
  expect(tickOf(event('charge.answered', 'provider', { detail: 'no answer' }))).toBe('open');
  expect(tickOf(event('dead', 'ledger'))).toBe('refused');
});
