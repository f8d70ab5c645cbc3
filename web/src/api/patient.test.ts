import { expect, test } from 'vitest';
import type { Answer } from './client';
import { mayAskAgain, pause, untilAnswered, untilSettled, type Waiting } from './patient';

const silence: Answer<never> = { kind: 'silence' };
const ok = (status = 200, body = { status: 'captured' }): Answer<{ status: string }> => ({
  kind: 'ok',
  status,
  body,
  headers: new Headers(),
});
const problem = (status: number, type = 'about:blank', retryAfter?: string): Answer<never> => ({
  kind: 'problem',
  status,
  headers: new Headers(retryAfter === undefined ? {} : { 'Retry-After': retryAfter }),
  problem: { type, title: 'No', status, detail: '', instance: '/' },
});

function setting(answers: Answer<{ status: string }>[]) {
  const waits: number[] = [];
  const said: (Waiting | null)[] = [];
  let calls = 0;
  return {
    waits,
    said,
    calls: () => calls,
    send: () => Promise.resolve(answers[calls++] ?? silence),
    patience: {
      signal: new AbortController().signal,
      limit: 5,
      onWaiting: (waiting: Waiting | null) => said.push(waiting),
      wait: (ms: number) => {
        waits.push(ms);
        return Promise.resolve();
      },
    },
  };
}

test('silence twice, then an answer: 3 requests, pauses of 300 and 600 ms', async () => {
  const s = setting([silence, silence, ok()]);
  const outcome = await untilAnswered(s.send, s.patience);
  expect(outcome.kind).toBe('ok');
  expect(s.calls()).toBe(3);
  expect(s.waits).toEqual([300, 600]);
  expect(s.said.at(-1)).toBeNull();
});

test('Retry-After of 2 s is honoured', async () => {
  const s = setting([problem(429, undefined, '2'), ok()]);
  await untilAnswered(s.send, s.patience);
  expect(s.waits).toEqual([2_000]);
});

test('a decline is an outcome: 1 request', async () => {
  const s = setting([problem(402)]);
  expect((await untilAnswered(s.send, s.patience)).kind).toBe('refused');
  expect(s.calls()).toBe(1);
});

test('only a 409 of a running twin is asked again', () => {
  expect(mayAskAgain(problem(409, '/problems/idempotency-key-in-progress'))).toBe(true);
  expect(mayAskAgain(problem(409, '/problems/payment-already-captured'))).toBe(false);
  expect(mayAskAgain(problem(422))).toBe(false);
  expect(mayAskAgain(problem(503))).toBe(true);
});

test('after 5 requests without an answer it gives up and says so', async () => {
  const s = setting([]);
  expect(await untilAnswered(s.send, s.patience)).toEqual({ kind: 'gave-up', problem: null });
  expect(s.calls()).toBe(5);
});

test('a pause grows to 5 s and no further', () => {
  expect([1, 2, 3, 4, 5, 6, 20].map((n) => pause(n, null))).toEqual([
    300, 600, 1_200, 2_400, 4_800, 5_000, 5_000,
  ]);
  expect(pause(1, 'soon')).toBe(300);
});

test('in doubt is read until it is settled: 3 reads, 0 captures', async () => {
  const s = setting([ok(200, { status: 'in_doubt' }), silence, ok(200, { status: 'captured' })]);
  const outcome = await untilSettled(s.send, '1', s.patience);
  expect(outcome).toMatchObject({ kind: 'ok', body: { status: 'captured' } });
  expect(s.said.filter((w) => w?.why === 'doubt')).toHaveLength(3);
  expect(s.waits[0]).toBe(1_000);
});
