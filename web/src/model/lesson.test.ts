import { describe, expect, test } from 'vitest';
import type { LessonHead, LessonRun, LessonRunHead } from '../api/shapes';
import {
  byLength,
  checksWords,
  done,
  hasReached,
  judgement,
  latest,
  nextOpen,
  onScale,
  outlives,
  pieces,
  product,
  progress,
  reached,
  since,
  span,
} from './lesson';

const head = (slug: string, rest: Partial<LessonRunHead> = {}): LessonRunHead => ({
  id: 'run_0',
  slug,
  shop: 'payonce',
  state: 'finished',
  ok: true,
  started_at: '2026-11-23T20:00:00.000Z',
  finished_at: '2026-11-23T20:00:02.000Z',
  prediction: null,
  truth: 'same',
  predicted_right: null,
  payment_id: null,
  ...rest,
});

const run = (rest: Partial<LessonRun> = {}): LessonRun => ({
  ...head('double-click'),
  steps: [],
  checks: [],
  error: null,
  ...rest,
});

const check = (ok: boolean) => ({
  id: ok ? 'a' : 'b',
  statement: '',
  ok,
  seen: '1',
  expected: '1',
  query: '',
});

const listed = (slug: string, number: number): LessonHead => ({
  slug,
  number,
  title: slug,
  summary: '',
  minutes: 4,
  naive: false,
});

describe('progress', () => {
  const lessons = [listed('double-click', 1), listed('two-tabs', 2), listed('email', 3)];

  test('is the latest run on the real shop; a naive run does not count', () => {
    const runs = [
      head('double-click', { shop: 'naive', ok: false }),
      head('double-click'),
      head('double-click', { ok: false }),
      head('two-tabs', { state: 'failed', ok: false }),
    ];
    expect(progress(runs, 'double-click')).toBe('held');
    expect(progress(runs, 'two-tabs')).toBe('failed');
    expect(progress(runs, 'email')).toBe('open');
    expect(latest(runs, 'double-click')?.shop).toBe('naive');
    expect(done(lessons, runs)).toBe(1);
    expect(nextOpen(lessons, runs)?.slug).toBe('two-tabs');
  });

  test('of 3 finished lessons is 3, and nothing is next', () => {
    const runs = lessons.map(({ slug }) => head(slug));
    expect(done(lessons, runs)).toBe(3);
    expect(nextOpen(lessons, runs)).toBeNull();
  });
});

describe('a lesson', () => {
  test('shows nothing before a prediction, and the why only after the run', () => {
    expect(reached(false, null)).toBe('predict');
    expect(reached(true, null)).toBe('run');
    expect(reached(true, run({ state: 'running' }))).toBe('watch');
    expect(reached(true, run({ state: 'running', checks: [check(true)] }))).toBe('check');
    expect(reached(false, run())).toBe('why');
    expect(hasReached('watch', 'run')).toBe(true);
    expect(hasReached('watch', 'why')).toBe(false);
  });

  test('says after the run whether the prediction was right, and nothing before', () => {
    expect(judgement(run({ state: 'running', prediction: 'same' }))).toBeNull();
    expect(judgement(run({ state: 'failed', truth: null }))).toBeNull();
    expect(judgement(run())?.tone).toBe('none');
    expect(judgement(run({ prediction: 'same', predicted_right: true }))?.tone).toBe('right');
    expect(judgement(run({ prediction: 'two', predicted_right: false }))?.tone).toBe('wrong');
  });

  test('counts its checks in words, and a naive harm is called one', () => {
    expect(checksWords(run({ state: 'running' }))).toBe('The checks come last.');
    expect(checksWords(run({ checks: [check(true), check(true)] }))).toBe('All 2 hold.');
    const harmed = run({ shop: 'naive', checks: [check(true), check(false)] });
    expect(checksWords(harmed)).toBe('1 of 2 do not hold there. That is the harm.');
  });

  test('times its steps from the start of the run', () => {
    expect(since('2026-11-23T20:00:00.000Z', '2026-11-23T20:00:01.440Z')).toBe('+1.4 s');
    expect(since('2026-11-23T20:00:01.000Z', '2026-11-23T20:00:00.000Z')).toBe('+0.0 s');
  });
});

describe('the box', () => {
  const window = (kind: 'remembers' | 'retries', seconds: number | null) => ({
    system: '',
    what: '',
    kind,
    seconds,
    note: '',
    forever: seconds === null,
  });

  test('3 layers with 3 attempts each make 27', () => {
    expect(product([3, 3, 3])).toBe(27);
    expect(product([])).toBe(1);
  });

  test('lengths are said in the unit that people use', () => {
    expect([60, 120, 86_400, 3 * 86_400, 30 * 86_400, null].map(span)).toEqual([
      '1 minute',
      '2 minutes',
      '24 hours',
      '72 hours',
      '30 days',
      'for ever',
    ]);
    expect(span(75 * 3_600 + 35 * 60)).toBe('75.6 hours');
  });

  test('the scale grows, and only for ever reaches its end', () => {
    const places = [60, 3_600, 86_400, 30 * 86_400, null].map(onScale);
    expect([...places].sort((a, b) => a - b)).toEqual(places);
    expect(places.at(-1)).toBe(100);
    expect(onScale(400 * 86_400)).toBeLessThan(100);
  });

  test('a window of 1 day is outlived by 2 retry horizons', () => {
    const all = [window('retries', 3 * 86_400), window('retries', 5 * 86_400)];
    const day = window('remembers', 86_400);
    expect(outlives(day, [day, ...all])).toBe(2);
    expect(outlives(window('remembers', null), all)).toBe(0);
    expect(byLength([window('remembers', null), day])[0]).toBe(day);
  });
});

test('a line has stress and code, and a lone star is a star', () => {
  expect(pieces('She clicks *Pay* with `key`: 3 * 3 = 9')).toEqual([
    { kind: 'plain', text: 'She clicks ' },
    { kind: 'em', text: 'Pay' },
    { kind: 'plain', text: ' with ' },
    { kind: 'code', text: 'key' },
    { kind: 'plain', text: ': 3 * 3 = 9' },
  ]);
});
