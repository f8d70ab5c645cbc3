import type { Route } from '@playwright/test';
import { expect, test, type Visitor } from './visitor.ts';

// The network between the page and the shop is disturbed here, never the shop:
// what it answers while it answers is real.

test('empty: every panel says what to do', async ({ visitor }) => {
  await visitor.open();
  await expect(visitor.page.getByText('No payments yet. Press Pay.')).toHaveCount(3);
  await visitor.page.getByTestId('mailbox').click();
  await expect(visitor.page.getByText('No mail yet.')).toBeVisible();
});

test('a click before the page has the address is kept, not refused: 2 clicks are 1 charge', async ({
  visitor,
}) => {
  const { page } = visitor;
  let release = (): void => undefined;
  const released = new Promise<void>((done) => (release = done));
  await page.route('**/v1/sandboxes/current', (route) => released.then(() => route.continue()));
  await visitor.open();
  await expect(visitor.pay).toHaveText('Pay €84.00');
  await visitor.pay.dblclick();
  await expect(page.getByText('2 clicks under way, all with the same key.')).toBeVisible();
  release();
  await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
  await visitor.oneOfEverything();
});

/** On the page; the second one is for those who listen to it. */
const asking = ({ page }: Visitor) =>
  page
    .getByRole('main')
    .getByText(/Asking again with the same key in/)
    .first();

test.describe('on a bad line', () => {
  test.use({ failuresExpected: true });

  const panels = [
    ['the attempts', '**/attempts?*'],
    ['the proof', '**/proof'],
    ['the audit', '**/v1/audit'],
    ['the mailbox', '**/v1/lab/mailbox'],
    ['the concert', '**/v1/catalogue'],
  ] as const;

  const failing = (route: Route) =>
    route.fulfill({
      status: 503,
      contentType: 'application/problem+json',
      body: JSON.stringify({ title: 'The shop is tired', status: 503, request_id: 'req_42' }),
    });

  for (const [what, url] of panels) {
    test(`${what}: words after 2 s, an error with retry and request id, then all is well`, async ({
      visitor,
    }) => {
      const { page } = visitor;
      let answer: ((route: Route) => Promise<void>) | null = null;
      const held: Route[] = [];
      await page.route(url, (route) => (answer === null ? void held.push(route) : answer(route)));
      await page.goto((await import('./demo.ts')).run().url);
      if (what === 'the attempts' || what === 'the proof') await visitor.pay.click();
      if (what === 'the audit') await visitor.audit.click();
      if (what === 'the mailbox') await page.getByTestId('mailbox').click();

      await expect(page.getByText(`Still loading ${what}.`)).toBeVisible();
      answer = failing;
      await Promise.all(held.splice(0).map(failing));
      const error = page.locator('[data-state="error"]', { hasText: what });
      await expect(error).toContainText('The shop is tired');
      await expect(error).toContainText('req_42');
      answer = (route) => route.continue();
      // The proof is read again by itself until everything has arrived.
      if (what !== 'the proof') await error.getByRole('button', { name: 'Retry' }).click();
      await expect(error).toHaveCount(0);
    });
  }

  test('offline: the click is kept, the same key is asked again, and online it is 1 charge', async ({
    visitor,
    context,
  }) => {
    await visitor.open();
    await visitor.pay.click();
    await visitor.chargedOnce();
    await context.setOffline(true);
    await expect(visitor.node('api')).toHaveAttribute('data-state', 'down');
    await visitor.pay.click();
    await expect(asking(visitor)).toBeVisible();
    await context.setOffline(false);
    await expect(visitor.attempts).toHaveCount(2);
    await visitor.chargedOnce();
    await expect(visitor.node('api')).toHaveAttribute('data-state', 'up');
  });

  test('offline before the first answer: the order and the payment are made once', async ({
    visitor,
    context,
  }) => {
    await visitor.open();
    await context.setOffline(true);
    await visitor.pay.dblclick();
    await expect(asking(visitor)).toBeVisible();
    await context.setOffline(false);
    await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
    await visitor.oneOfEverything();
  });
});
