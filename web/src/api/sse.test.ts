import { expect, test } from 'vitest';
import { FrameReader, Seen } from './sse';

test('an event cut anywhere into 2 chunks is still 1 event', () => {
  const whole = 'id: 7\nevent: activity\ndata: {"a":1}\n\n';
  for (let cut = 0; cut <= whole.length; cut++) {
    const reader = new FrameReader();
    const frames = [...reader.push(whole.slice(0, cut)), ...reader.push(whole.slice(cut))];
    expect(frames).toEqual([{ id: '7', event: 'activity', data: '{"a":1}' }]);
  }
});

test('comments are 0 events, and several data lines are 1', () => {
  const reader = new FrameReader();
  expect(reader.push(': hello\n\n')).toEqual([]);
  expect(reader.push('data: a\ndata: b\n\n')).toEqual([{ id: '', event: 'message', data: 'a\nb' }]);
});

test('an id sent twice is new once, and only the last 3 are remembered', () => {
  const seen = new Seen(3);
  expect(['a', 'a', 'b', 'c', 'd'].map((id) => seen.first(id))).toEqual([
    true,
    false,
    true,
    true,
    true,
  ]);
  expect(seen.first('a')).toBe(true);
});
