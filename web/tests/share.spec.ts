import { look } from './look.ts';
import { run } from './demo.ts';
import { expect, test, Visitor } from './visitor.ts';

/** A double-click, watched on its own page, and shared from there. */
async function shared(visitor: Visitor): Promise<string> {
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.oneOfEverything();
  await page.getByRole('link', { name: 'on its own page' }).click();
  await expect(visitor.node('tickets')).toContainText('1 in · 2 out');
  await page.getByRole('button', { name: 'Share this run' }).click();
  return (await page.getByTestId('shared').getAttribute('href')) ?? '';
}

test('a shared run plays for somebody without a sandbox, and makes none', async ({
  visitor,
  browser,
}) => {
  test.setTimeout(90_000);
  const link = await shared(visitor);
  expect(link).toContain(`${run().url}/replay/rec_`);
  const elsewhere = await browser.newContext();
  const page = await elsewhere.newPage();
  const stranger = new Visitor(page);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(link);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('€84.00, as it happened');
  await expect(page.locator('[data-event][transform]').first()).toBeVisible(); // it plays
  await page.keyboard.press('End');
  await expect(stranger.node('api')).toContainText('2 in · 1 out · 1 absorbed');
  await expect(stranger.node('tickets')).toContainText('1 in · 2 out');
  await expect(page.getByTestId('chain')).toContainText('1 charge');
  await expect(page.getByTestId('live')).toHaveText('the end');
  expect(await elsewhere.cookies()).toEqual([]);
  expect(asked.filter((path) => path.startsWith('/v1/'))).toEqual([
    `/v1/recordings/${link.slice(link.indexOf('rec_'))}`,
  ]);
  await look(page, 'replay');
  await elsewhere.close();
});

test.describe('a link that opens nothing', () => {
  test.use({ failuresExpected: true });

  test('is said to be over, or cut off', async ({ visitor }) => {
    const { page } = visitor;
    await page.goto(`${run().url}/replay/rec_1`);
    await expect(page.getByText('There is nothing under this link')).toBeVisible();
    await look(page, 'replay-none');
  });
});

test('what was shared stays as it was until it is recorded again', async ({ visitor }) => {
  const { page } = visitor;
  const link = await shared(visitor);
  const kept = link.slice(link.indexOf('rec_'));
  const events = () =>
    page.evaluate(async (id) => {
      const answer = await fetch(`/v1/recordings/${id}`);
      return ((await answer.json()) as { activity: unknown[] }).activity.length;
    }, kept);
  const before = await events();
  await page.getByTestId('again').getByRole('button', { name: 'same key' }).click();
  await expect(visitor.node('api')).toContainText('3 in · 1 out · 2 absorbed');
  expect(await events()).toBe(before);
  await page.getByRole('button', { name: 'Record it again' }).click();
  await expect.poll(events).toBeGreaterThan(before);
  await expect(page.getByTestId('shared')).toHaveAttribute('href', link);
});

test('looking back, the same is done again: the same key is replayed, a new one matched', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.click();
  await visitor.oneOfEverything();
  await page.getByRole('link', { name: 'on its own page' }).click();
  await expect(page.getByTestId('scrubber')).not.toHaveAttribute('data-length', '0');
  const again = page.getByTestId('again');
  await expect(again).toContainText('Do this again:');
  await page.keyboard.press('Home');
  await expect(again).toContainText('Do this again from here:');
  await again.getByRole('button', { name: 'same key' }).click();
  await expect(page.getByTestId('live')).toHaveText('LIVE');
  await expect(page.getByText('1replayed')).toBeVisible();
  await page.keyboard.press('Home');
  await again.getByRole('button', { name: 'new key' }).press('Enter');
  await expect(page.getByText('1matched')).toBeVisible();
  await page.goto(run().url);
  await visitor.chargedOnce();
  expect((await visitor.fates()).sort()).toEqual(['executed', 'matched', 'replayed']);
  await visitor.oneOfEverything();
});
