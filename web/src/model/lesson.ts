import type { LessonBox, LessonHead, LessonRun, LessonRunHead } from '../api/shapes';

export type ShopName = LessonRunHead['shop'];

export const shopNames: Record<ShopName, string> = {
  payonce: 'payonce',
  naive: 'the naive shop',
};

/** How far a visitor is with a lesson: his latest run on the real shop says it. */
export type Progress = 'open' | 'running' | 'held' | 'broken' | 'failed';

export const progressWords: Record<Progress, string> = {
  open: 'not run yet',
  running: 'running now',
  held: 'every check held',
  broken: 'a check did not hold',
  failed: 'did not come to its end',
};

/** Runs come newest first, so the first that fits is the latest. */
export function latest(
  runs: readonly LessonRunHead[],
  slug: string,
  shop?: ShopName,
): LessonRunHead | null {
  return runs.find((r) => r.slug === slug && (shop === undefined || r.shop === shop)) ?? null;
}

export function progress(runs: readonly LessonRunHead[], slug: string): Progress {
  const run = latest(runs, slug, 'payonce');
  if (run === null) return 'open';
  if (run.state === 'running') return 'running';
  if (run.state === 'failed') return 'failed';
  return run.ok ? 'held' : 'broken';
}

/** How many lessons have been run to their end, whatever came out. */
export function done(lessons: readonly LessonHead[], runs: readonly LessonRunHead[]): number {
  return lessons.filter(({ slug }) => ['held', 'broken'].includes(progress(runs, slug))).length;
}

/** Where to go on: the first lesson that was never finished. Null when all were. */
export function nextOpen(
  lessons: readonly LessonHead[],
  runs: readonly LessonRunHead[],
): LessonHead | null {
  return lessons.find(({ slug }) => !['held', 'broken'].includes(progress(runs, slug))) ?? null;
}

/** The five stations of a lesson, and how far this visit has come. */
export const stations = ['predict', 'run', 'watch', 'check', 'why'] as const;
export type Station = (typeof stations)[number];

export const stationNames: Record<Station, string> = {
  predict: 'Predict',
  run: 'Run',
  watch: 'Watch',
  check: 'Check',
  why: 'Why',
};

/**
 * Up to where the page may show. Nothing comes before a prediction (or the wish
 * to do without one), and the explanation not before the end of the run.
 */
export function reached(committed: boolean, run: LessonRun | null): Station {
  if (run === null) return committed ? 'run' : 'predict';
  if (run.state === 'running') return run.checks.length > 0 ? 'check' : 'watch';
  return 'why';
}

export const hasReached = (up: Station, station: Station): boolean =>
  stations.indexOf(station) <= stations.indexOf(up);

export interface Judgement {
  tone: 'right' | 'wrong' | 'none';
  title: string;
  text: string;
}

const judgements: Record<Judgement['tone'], Judgement> = {
  right: { tone: 'right', title: 'You saw it coming.', text: 'The why below says what you knew.' },
  wrong: {
    tone: 'wrong',
    title: 'It went another way, and now you know.',
    text: 'What came true is marked above; the why below says how.',
  },
  none: {
    tone: 'none',
    title: 'Now you have seen it.',
    text: 'Next time, say first what you expect: it stays longer.',
  },
};

/** What a finished run says to the prediction, kindly. Null before there is a truth. */
export function judgement(run: LessonRun): Judgement | null {
  if (run.state !== 'finished' || run.truth === null) return null;
  if (run.prediction === null) return judgements.none;
  return run.predicted_right === true ? judgements.right : judgements.wrong;
}

/** One sentence over the checks of a run. */
export function checksWords(run: LessonRun): string {
  const held = run.checks.filter((check) => check.ok).length;
  const all = run.checks.length;
  if (run.state === 'running') {
    return all === 0 ? 'The checks come last.' : `${held} of ${all} hold so far.`;
  }
  if (all === 0) return 'Nothing was checked.';
  if (run.shop === 'naive') {
    return held === all
      ? `All ${all} hold, even there, this time.`
      : `${all - held} of ${all} do not hold there. That is the harm.`;
  }
  return held === all ? `All ${all} hold.` : `${all - held} of ${all} do not hold.`;
}

/** Seconds since the run began, as a stopwatch writes them: +0.4 s. */
export function since(start: string, at: string): string {
  const seconds = Math.max(0, Date.parse(at) - Date.parse(start)) / 1_000;
  return `+${seconds.toFixed(1)} s`;
}

export const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);

type Window = NonNullable<LessonBox['windows']>[number];

/** "2 minutes", "72 hours", "30 days": the unit people use for that length. */
export function span(seconds: number | null): string {
  if (seconds === null) return 'for ever';
  const say = (n: number, unit: string) =>
    `${Number.isInteger(n) ? n : n.toFixed(1)} ${unit}${n === 1 ? '' : 's'}`;
  if (seconds < 60) return say(seconds, 'second');
  if (seconds < 3_600) return say(seconds / 60, 'minute');
  if (seconds < 4 * 86_400) return say(round(seconds / 3_600), 'hour');
  return say(round(seconds / 86_400), 'day');
}

const round = (n: number) => Math.round(n * 10) / 10;

/** The scale goes from ten seconds to a hundred days, a step of ten each time the same width. */
const left = Math.log10(10);
const right = Math.log10(100 * 86_400);

/** Where a length ends on the common scale, in percent; for ever is its end. */
export function onScale(seconds: number | null): number {
  if (seconds === null) return 100;
  const share = (Math.log10(Math.max(seconds, 10)) - left) / (right - left);
  return Math.round(Math.min(share, 0.97) * 1_000) / 10;
}

/** Ticks of the scale that a person can name. */
export const ticks: readonly { seconds: number; name: string }[] = [
  { seconds: 60, name: '1 min' },
  { seconds: 3_600, name: '1 h' },
  { seconds: 86_400, name: '1 day' },
  { seconds: 7 * 86_400, name: '1 week' },
  { seconds: 30 * 86_400, name: '30 days' },
];

/** Shortest first, and what lasts for ever at the end. */
export const byLength = (windows: readonly Window[]): Window[] =>
  [...windows].sort((a, b) => (a.seconds ?? Infinity) - (b.seconds ?? Infinity));

/** The retry horizons that outlive a window: each an effect that can come twice. */
export function outlives(window: Window, all: readonly Window[]): number {
  if (window.kind !== 'remembers' || window.seconds == null) return 0;
  const end = window.seconds;
  return all.filter(({ kind, seconds }) => kind === 'retries' && (seconds ?? Infinity) > end)
    .length;
}

export interface Piece {
  kind: 'plain' | 'em' | 'code';
  text: string;
}

/** One line of our texts that comes as it was written: *stress* and `code` are all that it has. */
export function pieces(line: string): Piece[] {
  return line
    .split(/(\*[^*\s][^*]*\*|`[^`]+`)/)
    .filter((part) => part !== '')
    .map((part) => {
      const inner = part.slice(1, -1);
      if (part.length > 2 && part.startsWith('`') && part.endsWith('`')) {
        return { kind: 'code', text: inner };
      }
      if (part.length > 2 && part.startsWith('*') && part.endsWith('*')) {
        return { kind: 'em', text: inner };
      }
      return { kind: 'plain', text: part };
    });
}
