import { relative } from './time';

export interface Cell {
  text: string;
  full: string;
  kind: 'id' | 'nothing' | 'good' | 'waits' | 'bad' | 'plain';
}

const good = new Set(['completed', 'captured', 'succeeded', 'sent', 'done', 'issued', 'published']);
const waits = new Set(['running', 'capturing', 'in_doubt', 'sending', 'queued', 'started', 'open']);
const bad = new Set(['failed', 'stuck', 'refused', 'compensating', 'declined']);

/** A value of a table as a person reads it; the whole of it stays in the title. */
export function shown(column: string, value: string | null, now: number): Cell {
  if (value === null) {
    const text = column === 'published_at' ? 'not yet' : '–';
    return { text, full: 'NULL', kind: column === 'published_at' ? 'waits' : 'nothing' };
  }
  if (column.endsWith('_at') || column === 'lease_until') {
    // Postgres writes "2026-01-01 00:00:00.123+00"; a browser wants T and minutes of the offset.
    const at = new Date(value.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
    const valid = !Number.isNaN(at.getTime());
    return { text: valid ? when(at, now) : value, full: value, kind: 'plain' };
  }
  if (/^[a-z]{2,4}_[0-9a-f]{32}$/.test(value)) {
    return { text: `${value.split('_')[0] ?? ''}_…${value.slice(-6)}`, full: value, kind: 'id' };
  }
  if (/^[0-9a-f-]{36}$/.test(value))
    return { text: `…${value.slice(-6)}`, full: value, kind: 'id' };
  const kind = good.has(value)
    ? 'good'
    : waits.has(value)
      ? 'waits'
      : bad.has(value)
        ? 'bad'
        : 'plain';
  return { text: value, full: value, kind };
}

function when(at: Date, now: number): string {
  if (at.getTime() <= now + 2_000) return relative(at.toISOString(), now);
  const seconds = Math.round((at.getTime() - now) / 1000);
  if (seconds < 120) return `in ${seconds} s`;
  return seconds < 7_200
    ? `in ${Math.round(seconds / 60)} min`
    : `in ${Math.round(seconds / 3_600)} h`;
}
