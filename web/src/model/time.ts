const steps: [limit: number, seconds: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, 1, 'second'],
  [3_600, 60, 'minute'],
  [86_400, 3_600, 'hour'],
  [Infinity, 86_400, 'day'],
];

/** "12 seconds ago"; anything younger than two seconds, or ahead of our clock, is "now". */
export function relative(at: string, now: number, locale?: string): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
  const words = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  if (seconds < 2) return words.format(0, 'second');
  const [, size, unit] = steps.find(([limit]) => seconds < limit) ?? [0, 86_400, 'day' as const];
  return words.format(-Math.floor(seconds / size), unit);
}

export function exact(at: string, locale?: string): string {
  const style = { dateStyle: 'medium', timeStyle: 'medium' } as const;
  return new Intl.DateTimeFormat(locale, style).format(new Date(at));
}

/** A day of the calendar, wherever the reader is: no time zone may move it. */
export function day(date: string, locale?: string): string {
  const style = { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' } as const;
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: 'UTC' }).format(new Date(date));
}

/** Wall clock with milliseconds, because a twin is often only that far away. */
export function clock(at: string, locale?: string): string {
  return new Intl.DateTimeFormat(locale, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
    hour12: false,
  }).format(new Date(at));
}

/** 31 ms below a second, 2.1 s above: the two must not be confused at a glance. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
