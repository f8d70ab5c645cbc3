import type { Page } from '@playwright/test';
import { kill, run } from './demo.ts';
import { asStored, shownPayment, storedEvents } from './journal.ts';
import { keep } from './keep.ts';
import { listens, said, track, trackNode, wentDownAndUp } from './track.ts';
import { expect, test } from './visitor.ts';

test.use({ failuresExpected: true });

const kills = { tag: '@kills' };

test(
  'the API is killed after the charge and the page recovers on its own: 1 charge',
  kills,
  async ({ visitor }) => {
    await visitor.open();
    await visitor.pay.dblclick();
    await visitor.chargedOnce();
    const before = run().pids['api'];

    await trackNode(visitor.page, 'api');
    await track(visitor.page, '.next [role="status"]');
    await visitor.page.getByRole('button', { name: 'Kill the API after the charge' }).click();
    await expect.poll(() => wentDownAndUp(visitor.page, 'api')).toBe(true);
    await visitor.chargedOnce();
    await visitor.oneOfEverything();
    expect((await said(visitor.page, '.next [role="status"]')).join(' ')).toContain(
      'Your browser asks again with the same key until somebody answers.',
    );
    await expect.poll(() => run().pids['api']).not.toBe(before);
    await expect(visitor.page.getByText('finished that: one charge')).toBeVisible();
    await crashAsStored(visitor.page);
  },
);

test(
  'after kill -9 of the api the stream resumes: 3 attempts are counted as 3, not more',
  kills,
  async ({ visitor }) => {
    await visitor.open();
    await visitor.pay.dblclick();
    await visitor.chargedOnce();
    await expect(visitor.node('api')).toContainText('2 in · 1 out · 1 absorbed');

    await trackNode(visitor.page, 'api');
    await kill('api');
    await expect.poll(() => wentDownAndUp(visitor.page, 'api')).toBe(true);

    await visitor.pay.click();
    await expect(visitor.verdict).toContainText('You were charged once.');
    await expect(visitor.attempts).toHaveCount(3);
    await expect(visitor.node('api')).toContainText('3 in · 1 out · 2 absorbed');
  },
);

test(
  'a killed worker turns its 3 nodes grey, and the effects still come once',
  kills,
  async ({ visitor }) => {
    await visitor.open();
    await listens(visitor.page);
    const consumers = ['ledger', 'email', 'tickets'];
    for (const consumer of consumers) await trackNode(visitor.page, consumer);
    await kill('worker');
    await visitor.pay.dblclick();
    await visitor.chargedOnce();
    await visitor.oneOfEverything();
    for (const consumer of consumers) {
      await expect.poll(() => wentDownAndUp(visitor.page, consumer), consumer).toBe(true);
    }
  },
);

/** The numbers of the crashed payment, and the lines that its story must have. */
async function crashAsStored(page: Page): Promise<void> {
  const id = await shownPayment(page);
  const kinds = async () => (await storedEvents(page, id)).map(({ kind }) => kind);
  await expect.poll(kinds).toEqual(expect.arrayContaining(['interrupted', 'charge.answered']));
  const events = await asStored(page, 1);

  const absorbed = events.filter(({ kind }) => ['replayed', 'waited', 'matched'].includes(kind));
  // The lease ends for both at once: the browser's next attempt takes over what the
  // dead process left, or it waits for the shop's own recovery, which was first.
  expect(absorbed.length).toBe(events.some(({ kind }) => kind === 'recovered') ? 0 : 1);
  const words = ['Nothing had to be absorbed so far.', 'Twins absorbed: 1 by their key.'];
  await expect(page.getByText(words[absorbed.length] ?? '')).toBeVisible();

  await page.goto(new URL(`/payments/${id}`, page.url()).href);
  const story = page.getByTestId('story-line');
  await expect(story.getByText('its process ended before it wrote down')).toHaveCount(1);
  await expect(story.getByText('asked what had become of the charge')).toHaveCount(1);
  await expect(story.getByText('The provider answered: succeeded')).toHaveCount(1);
  await story.first().scrollIntoViewIfNeeded();
  await page.mouse.wheel(0, 400);
  keep('page-story-of-a-crash.png', await page.screenshot());
}
