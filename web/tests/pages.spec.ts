import { kill, run } from './demo.ts';
import { look } from './look.ts';
import { said, track } from './track.ts';
import { expect, test, type Visitor } from './visitor.ts';

/** A payment with a twin and a refund, so that every page has something to show. */
async function history(visitor: Visitor): Promise<string> {
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.oneOfEverything();
  await visitor.page.getByTestId('refund').click();
  await expect(visitor.page.getByTestId('saga')).toHaveAttribute('data-state', 'completed');
  const link = visitor.page.getByRole('link', { name: 'whole story' });
  return (await link.getAttribute('href')) ?? '';
}

test('every page at 390, 768, 1280 and 1920 px, light and dark: axe finds 0, nothing sticks out', async ({
  visitor,
}) => {
  test.setTimeout(180_000);
  const { page } = visitor;
  const story = await history(visitor);
  const seen: [string, string, string][] = [
    ['/data', 'data', 'The rows behind it.'],
    ['/ops', 'ops', 'Nothing needs you.'],
    ['/developers', 'developers', 'Copy it, break it.'],
    [story, 'payment', '€84.00, refunded'],
    ['/no/such/page', 'nowhere', 'There is no page here.'],
  ];
  for (const [path, name, heading] of seen) {
    await page.goto(run().url + path);
    await expect(page.getByRole('heading', { level: 1, name: heading })).toBeVisible();
    await look(page, name);
  }
});

test('the charts of Operations take the colours of the theme, whether the system changes it or the visitor', async ({
  visitor,
}) => {
  const { page } = visitor;
  await page.goto(`${run().url}/ops`);
  await expect(page.getByTestId('ops-headline')).toHaveText('Nothing needs you.');
  /** How bright what is drawn is: 0 is black, 255 is white. */
  const brightness = () =>
    page
      .locator('figure canvas')
      .first()
      .evaluate((canvas: HTMLCanvasElement) => {
        const { width, height } = canvas;
        const rgba = canvas.getContext('2d')?.getImageData(0, 0, width, height).data ?? [];
        let [sum, pixels] = [0, 0];
        for (let i = 0; i < rgba.length; i += 4) {
          if ((rgba[i + 3] ?? 0) < 200) continue;
          sum += rgba[i + 1] ?? 0;
          pixels++;
        }
        return sum / pixels;
      });
  await expect.poll(brightness).toBeLessThan(128);
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(brightness).toBeGreaterThan(128);
  const toggle = page.getByRole('button', { name: 'Switch between light and dark' });
  await toggle.click();
  await expect.poll(brightness).toBeLessThan(128);
  await toggle.click();
  await expect.poll(brightness).toBeGreaterThan(128);
});

test('the story of a payment is told event by event, and another visitor cannot read it', async ({
  visitor,
  browser,
}) => {
  const story = await history(visitor);
  await visitor.page.goto(run().url + story);
  const lines = visitor.page.getByTestId('story-line');
  await expect(lines.first()).toContainText('The order and its payment were stored.');
  await expect(lines.filter({ hasText: 'The ledger did its part' }).first()).toBeVisible();
  await expect(
    lines.filter({ hasText: /stored answer|waited for the first/ }).first(),
  ).toBeVisible();
  await expect(visitor.page.getByTestId('saga')).toHaveAttribute('data-state', 'completed');

  const stranger = await browser.newContext();
  const other = await stranger.newPage();
  await other.goto(run().url + story);
  await expect(other.getByText('There is no such payment in your sandbox.')).toBeVisible();
  await other.goto(`${run().url}/data`);
  await expect(other.getByText('No payments yet.')).toBeVisible();
  await stranger.close();
});

test('a reset begins with an empty sandbox', async ({ visitor }) => {
  const { page } = visitor;
  await history(visitor);
  await page.goto(`${run().url}/developers`);
  const key = page.locator('dd code').first();
  const before = await key.textContent();
  await page.getByRole('button', { name: 'Reset the sandbox…' }).click();
  await page.getByRole('button', { name: 'Yes, begin anew' }).click();
  await expect(visitor.pay).toHaveText('Pay €84.00');
  await expect(page.getByText('No payments yet. Press Pay.').first()).toBeVisible();
  await page.goto(`${run().url}/developers`);
  await expect(key).not.toHaveText(before ?? '');
});

test('Data shows rows of the patterns as they are written', async ({ visitor }) => {
  const { page } = visitor;
  await page.goto(`${run().url}/data`);
  await expect(page.getByText('No payments yet.')).toBeVisible();
  const shop = await page.context().newPage();
  await shop.goto(run().url);
  await shop.getByRole('button', { name: /^Pay €/ }).click();
  for (const table of ['idempotency_keys', 'payment_attempts', 'outbox_events', 'ledger_entries']) {
    await expect(page.locator(`[data-table="${table}"] tbody tr`).first()).toBeVisible();
  }
  await expect(page.locator('[data-table="payment_attempts"]')).toContainText('erased');
  await shop.close();
});

test('poison: a toast, the letter with its message on Operations, replayed and then discarded with a reason', async ({
  visitor,
}) => {
  const { page } = visitor;
  const story = await history(visitor);
  const poisoned = await page.evaluate(
    async (payment_id) => {
      const answer = await fetch('/v1/lab/poison', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ payment_id, consumer: 'ledger' }),
      });
      return answer.status;
    },
    story.replace('/payments/', ''),
  );
  expect(poisoned).toBe(202);
  const toast = page.getByTestId('toast');
  await expect(toast).toContainText('A message could not be applied');
  await toast.getByRole('link', { name: 'Operations' }).click();
  await page.getByRole('button', { name: /^Dismiss/ }).click();
  await expect(toast).toHaveCount(0);

  const letter = page.getByTestId('letter');
  await expect(letter).toHaveAttribute('data-state', 'open');
  await letter.getByText('Message and decisions').click();
  await expect(letter).toContainText('"schema": 999');
  await letter.getByRole('button', { name: 'Replay…' }).click();
  await letter.getByLabel(/Why/).fill('fixed, they said');
  await letter.getByRole('button', { name: 'Replay', exact: true }).click();
  await expect(letter).toContainText('replayed once');
  // It was not fixed: the second death is seen again.
  await expect(letter).toHaveAttribute('data-state', 'open');
  await letter.getByRole('button', { name: 'Discard…' }).click();
  await letter.getByLabel(/Why/).fill('nobody needs it');
  await letter.getByRole('button', { name: 'Discard', exact: true }).click();
  await expect(letter).toHaveAttribute('data-state', 'discarded');
  await expect(page.getByTestId('ops-headline')).toHaveText('Nothing needs you.');
});

test.describe('killed while Operations is open', { tag: '@kills' }, () => {
  test.use({ failuresExpected: true });

  test('the worker, the relay and the api: each is said to be down, and comes back without a reload', async ({
    visitor,
  }) => {
    const { page } = visitor;
    await page.goto(`${run().url}/ops`);
    const headline = page.getByTestId('ops-headline');
    const selector = '[data-testid="ops-headline"]';
    await expect(headline).toHaveText('Nothing needs you.');
    await expect(headline).toHaveAttribute('data-stream', 'live');
    for (const [name, says] of [
      ['worker', 'worker'],
      ['relay', 'relay'],
      ['api', 'The API does not answer.'],
    ] as const) {
      await track(page, selector);
      await kill(name);
      await expect.poll(async () => (await said(page, selector)).join(' · ')).toContain(says);
      await expect(headline).toHaveText('Nothing needs you.');
    }
  });
});
