import { expect, test } from 'vitest';
import { Scrubber, speeds } from './scrub';

const each = (ms: number) => () => ms;

function over(length: number): Scrubber {
  const scrubber = new Scrubber();
  scrubber.reset(length);
  return scrubber;
}

test('a live head goes along with 3 new events and is 0 behind', () => {
  const scrubber = over(5);
  scrubber.grow(8);
  expect(scrubber).toMatchObject({ head: 8, live: true, behind: 0 });
});

test('while looking back 12 new events never move the head: it is 12 behind', () => {
  const scrubber = over(5);
  scrubber.pause();
  scrubber.grow(17);
  expect(scrubber).toMatchObject({ head: 5, live: false, behind: 12 });
});

test('a pause stops where the drawing is: 3 of 10 not drawn yet leave the head at 7', () => {
  const scrubber = over(10);
  scrubber.pause(3);
  expect(scrubber).toMatchObject({ head: 7, behind: 3 });
});

test('steps stay between 0 and the last event, and looking at the last is not live', () => {
  const scrubber = over(12);
  scrubber.step(-1);
  expect(scrubber.head).toBe(11);
  scrubber.step(-10);
  expect(scrubber.head).toBe(1);
  scrubber.step(-10);
  expect(scrubber.head).toBe(0);
  scrubber.step(99);
  expect(scrubber).toMatchObject({ head: 12, live: false, behind: 0 });
});

test('played at 1× an event of 300 ms is followed by the next 300 ms later', () => {
  const scrubber = over(4);
  scrubber.seek(0);
  scrubber.play(1_000);
  expect(scrubber.tick(1_000, each(300))).toBe(1);
  expect(scrubber.tick(1_299, each(300))).toBe(0);
  expect(scrubber.tick(1_300, each(300))).toBe(1);
});

test('each speed plays 8 events in its own time', () => {
  for (const speed of speeds) {
    const scrubber = over(8);
    scrubber.seek(0);
    scrubber.speed = speed;
    scrubber.play(0);
    scrubber.tick((7 * 300) / speed - 1, each(300));
    expect(scrubber.head).toBe(7);
    scrubber.tick((7 * 300) / speed, each(300));
    expect(scrubber.head).toBe(8);
  }
});

test('having caught up it is live again, and follows what comes', () => {
  const scrubber = over(3);
  scrubber.seek(2);
  scrubber.play(0);
  scrubber.tick(0, each(300));
  expect(scrubber.live).toBe(false);
  scrubber.tick(300, each(300));
  expect(scrubber.live).toBe(true);
  scrubber.grow(9);
  expect(scrubber.head).toBe(9);
});

test('playing from the end begins with the first event, and 0 events play nothing', () => {
  const scrubber = over(3);
  scrubber.play(0);
  scrubber.tick(0, each(300));
  expect(scrubber.head).toBe(1);
  const empty = over(0);
  empty.play(0);
  expect(empty.playing).toBe(false);
});
