import { describe, expect, test } from 'vitest';
import type { Activity } from '../api/shapes';
import { Flow, pace, type Drawing } from './flow';

let serial = 0;
function event(kind: Activity['kind'], node: string, extra: Partial<Activity> = {}): Activity {
  serial++;
  return {
    id: `e${serial}`,
    at: new Date(1_700_000_000_000 + serial).toISOString(),
    kind,
    node,
    payment_id: 'pay_1',
    key_suffix: '9f3c',
    trace_id: 't1',
    attempt: 1,
    ...extra,
  };
}

const twin = (n: number): Partial<Activity> => ({ trace_id: `t${n}`, attempt: n });

/** Plays the clock in steps of one frame and returns every drawing on the way. */
function play(flow: Flow, from: number, until: number): Drawing[] {
  const drawings = [];
  for (let now = from; now <= until; now += 16) drawings.push(flow.frame(now));
  return drawings;
}

describe('the drawing clock', () => {
  test('without an event, 0 tokens are drawn', () => {
    const drawn = play(new Flow(pace), 0, 2_000);
    expect(drawn.every((d) => d.still && d.tokens.length === 0)).toBe(true);
  });

  test('one hop takes 300 ms even when the next event came 1 ms later', () => {
    const flow = new Flow(pace);
    flow.push(event('attempt.received', 'browser'), 'browser', 0, 1);
    flow.push(event('claimed', 'api'), 'browser', 1, 1);
    const at299 = play(flow, 0, 288).at(-1);
    expect(at299?.tokens).toMatchObject([{ from: 'browser', to: 'gate', resting: null }]);
    const later = play(flow, 304, 340).at(-1);
    expect(later?.tokens).toMatchObject([{ from: 'gate', to: 'api', label: '9f3c·1' }]);
  });

  test('of 2 twins the second waits at the gate until the first has its answer', () => {
    const flow = new Flow(pace);
    flow.push(event('attempt.received', 'browser', twin(1)), 'browser', 0, 1);
    flow.push(event('attempt.received', 'browser', twin(2)), 'browser', 2, 2);
    flow.push(event('claimed', 'api', twin(1)), 'browser', 3, 1);
    flow.push(event('charge.sent', 'provider', twin(1)), 'browser', 4, 1);
    flow.push(event('replayed', 'api', twin(2)), 'browser', 5, 2);
    const during = play(flow, 0, 800).at(-1);
    expect(during?.tokens.map((t) => [t.label, t.to])).toEqual([
      ['9f3c·2', 'gate'],
      ['9f3c·1', 'provider'],
    ]);
    const after = play(flow, 816, 1_100).at(-1);
    const second = after?.tokens.find((t) => t.label === '9f3c·2');
    expect(second).toMatchObject({ style: 'hollow', from: 'gate', to: 'tray' });
  });

  test('50 attempts at once are drawn as at most 30 tokens, and their counts add up to 50', () => {
    const flow = new Flow(pace);
    for (let n = 1; n <= 50; n++) {
      flow.push(event('attempt.received', 'gateway', twin(n)), 'gateway', n);
    }
    const drawn = play(flow, 60, 1_500);
    expect(Math.max(...drawn.map((d) => d.tokens.length))).toBeLessThanOrEqual(30);
    expect(drawn.at(-1)?.tokens.reduce((sum, t) => sum + t.count, 0)).toBe(50);
  });

  test('the drawing is never more than 3 s behind, whatever comes', () => {
    const flow = new Flow(pace);
    for (let n = 1; n <= 200; n++) {
      flow.push(event('attempt.received', 'gateway', twin(n)), 'gateway', 0);
      flow.push(event('claimed', 'api', twin(n)), 'gateway', 0);
      flow.push(event('replayed', 'api', twin(n)), 'gateway', 0);
      flow.push(event('delivered', 'ledger', twin(n)), 'gateway', 0);
    }
    const drawn = play(flow, 0, 4_000);
    expect(Math.max(...drawn.map((d) => d.behind))).toBeLessThanOrEqual(3_000);
    expect(drawn.at(-1)?.waiting).toBe(0);
  });

  test('a pause holds every token where it is and starts 0 new ones', () => {
    const flow = new Flow(pace);
    flow.push(event('attempt.received', 'browser'), 'browser', 0);
    play(flow, 0, 150);
    flow.pause(150);
    const before = flow.frame(150).tokens[0]?.along;
    flow.push(event('claimed', 'api'), 'browser', 200);
    const held = flow.frame(1_000);
    expect(held.tokens[0]?.along).toBe(before);
    expect(held.waiting).toBe(1);
    flow.resume(1_000);
    expect(flow.frame(1_016).tokens[0]?.along).toBeGreaterThan(before ?? 1);
  });

  test('a published event goes through the relay, then each of 3 consumers gets a token of its own', () => {
    const flow = new Flow(pace);
    flow.push(event('published', 'relay'), 'browser', 0);
    for (const node of ['ledger', 'email', 'tickets']) {
      flow.push(event('delivered', node), 'browser', 1);
    }
    const first = flow.frame(10);
    expect(first.tokens).toMatchObject([{ from: 'postgres', to: 'relay' }]);
    const last = play(flow, 26, 900).at(-1);
    const reached = last?.tokens.map((t) => t.to).sort();
    expect(reached).toEqual(expect.arrayContaining(['email', 'ledger', 'tickets']));
  });

  test('a commit lights the one box of what commits together', () => {
    const flow = new Flow(pace);
    flow.push(event('committed', 'postgres'), 'browser', 0);
    const drawn = play(flow, 0, 700);
    expect(drawn.some((d) => d.flashes.some((f) => f.place === 'postgres'))).toBe(true);
  });

  test('in the end nothing is left on the diagram', () => {
    const flow = new Flow(pace);
    flow.push(event('attempt.received', 'browser'), 'browser', 0);
    flow.push(event('delivered', 'ledger'), 'browser', 0);
    expect(play(flow, 0, 9_000).at(-1)?.still).toBe(true);
  });
});

test('a clock that starts below 0 holds nothing back: 2 events one hop apart are both drawn', () => {
  const flow = new Flow(pace);
  flow.push(event('attempt.received', 'browser'), 'browser', -5_000);
  flow.frame(-5_000);
  flow.push(event('claimed', 'api'), 'browser', -4_700);
  const drawn = flow.frame(-4_700);
  expect(drawn.waiting).toBe(0);
  expect(drawn.caption).toContain('it passes');
});
