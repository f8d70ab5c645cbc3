import { expect, test } from 'vitest';
import { shown } from './cell';

const now = Date.parse('2026-01-01T00:00:00Z');

test('a cell is short, and its title is whole', () => {
  const id = `pay_${'0'.repeat(26)}abcdef`;
  expect(shown('id', id, now)).toEqual({ text: 'pay_…abcdef', full: id, kind: 'id' });
  expect(shown('status', 'captured', now).kind).toBe('good');
  expect(shown('decline_code', null, now).text).toBe('–');
  expect(shown('published_at', null, now)).toEqual({
    text: 'not yet',
    full: 'NULL',
    kind: 'waits',
  });
});

test('times are near or far, and what is no time stays as it is', () => {
  expect(shown('expires_at', '2026-01-04 00:00:00+00', now).text).toBe('in 72 h');
  expect(shown('lease_until', '2026-01-01 00:00:15+00', now).text).toBe('in 15 s');
  expect(shown('created_at', '2025-12-31 23:59:50.123456+00', now).text).toBe('10 seconds ago');
  expect(shown('created_at', 'soon', now).text).toBe('soon');
});
