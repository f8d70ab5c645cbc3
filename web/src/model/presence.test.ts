import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { leastDown, Presence } from './presence';

let shown: string[] = [];
let parts: Presence;

beforeEach(() => {
  vi.useFakeTimers();
  shown = [];
  parts = new Presence((name, up) => shown.push(`${name} ${up ? 'up' : 'down'}`));
});
afterEach(() => vi.useRealTimers());

test('news of an end and of a return that come together are shown one after the other', () => {
  parts.is('worker', false);
  parts.is('worker', true);
  parts.is('relay', true);
  expect(shown).toEqual(['worker down', 'relay up']);
  vi.advanceTimersByTime(leastDown - 1);
  expect(shown).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(shown).toEqual(['worker down', 'relay up', 'worker up']);
});

test('what has been down for long is up at once', () => {
  parts.is('worker', false);
  vi.advanceTimersByTime(leastDown);
  parts.is('worker', true);
  expect(shown).toEqual(['worker down', 'worker up']);
});

test('what is down again before its return was shown stays down', () => {
  parts.is('worker', false);
  parts.is('worker', true);
  parts.is('worker', false);
  vi.advanceTimersByTime(10 * leastDown);
  expect(shown).toEqual(['worker down', 'worker down']);
  parts.is('worker', true);
  expect(shown.at(-1)).toBe('worker up');
});

test('nothing is shown after the end', () => {
  parts.is('worker', false);
  parts.is('worker', true);
  parts.stop();
  vi.advanceTimersByTime(10 * leastDown);
  expect(shown).toEqual(['worker down']);
});
