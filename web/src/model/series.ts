/** A number over time: the last values, oldest first. What was not read is null, and a gap. */
export interface Series {
  at: number[];
  values: (number | null)[];
}

export const emptySeries: Series = { at: [], values: [] };

/** Adds a value and forgets what is older than `keep` seconds. */
export function push(series: Series, at: number, value: number | null, keep: number): Series {
  const from = series.at.findIndex((t) => t > at - keep);
  const start = from < 0 ? series.at.length : from;
  return {
    at: [...series.at.slice(start), at],
    values: [...series.values.slice(start), value],
  };
}

/** How fast a running total grows, in units a second; null while there is nothing to compare. */
export function rate(
  before: { at: number; total: number } | null,
  now: { at: number; total: number },
): number | null {
  if (before === null || now.at <= before.at || now.total < before.total) return null;
  return (now.total - before.total) / (now.at - before.at);
}
