import type { Page } from '@playwright/test';
import { run } from './demo.ts';
import { look } from './look.ts';
import { expect, test } from './visitor.ts';

/** A comparison waits until nothing is under way any more. */
const patience = { timeout: 90_000 };

const open = (page: Page) => page.goto(`${run().url}/compare`);
const bill = (page: Page, side: string) => page.getByTestId(`side-${side}`).getByTestId('bill');
const guard = (page: Page, slug: string) => page.locator(`[data-guard="${slug}"]`);
const choose = (page: Page, name: string) =>
  page.getByRole('radio', { name, exact: true }).check({ force: true });

test('one press, 5 clicks: payonce charges 1, the naive shop 5, counted by the provider', async ({
  visitor,
}) => {
  test.setTimeout(150_000);
  const { page } = visitor;
  await open(page);
  await page.getByTestId('compare').click();
  await expect(page.getByTestId('compared')).toContainText('payonce charged once', patience);
  await expect(page.getByTestId('compared')).toContainText('the naive shop 5 times');
  await expect(bill(page, 'payonce')).toHaveAttribute('data-charges', '1');
  await expect(bill(page, 'payonce')).toHaveAttribute('data-mails', '1');
  await expect(bill(page, 'naive')).toHaveAttribute('data-charges', '5');
  await expect(bill(page, 'naive')).toContainText('counted by the provider');
  await expect(page.getByTestId('side-naive')).toContainText('charged too often: 5 instead of 1');
  await expect(page.getByText('Timings differ')).toBeVisible();
});

test('an event delivered twice is booked once here and twice there', async ({ visitor }) => {
  test.setTimeout(150_000);
  const { page } = visitor;
  await open(page);
  await choose(page, '1');
  await choose(page, 'The event is delivered twice');
  await page.getByTestId('compare').click();
  await expect(page.getByTestId('side-naive')).toHaveAttribute('data-harm', 'true', patience);
  await expect(page.getByTestId('side-payonce')).toHaveAttribute('data-harm', 'false');
  await expect(bill(page, 'payonce')).toHaveAttribute('data-ledger', '1');
  await expect(bill(page, 'naive')).toHaveAttribute('data-ledger', '2');
});

test('with the keyboard alone: C opens the page from the shop, and there runs both', async ({
  visitor,
}) => {
  test.setTimeout(150_000);
  const { page } = visitor;
  await visitor.open();
  await page.keyboard.press('c');
  await expect(page).toHaveURL(/\/compare$/);
  await expect(page.getByTestId('guard')).toHaveCount(8);
  await page.keyboard.press('c');
  await expect(page.getByTestId('compared')).toContainText('payonce charged once', patience);
});

test('on the shop 3 things are next: the second loses an answer and ends with 1 charge', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.click();
  await visitor.chargedOnce();
  await expect(page.getByRole('button', { name: 'Kill the API after the charge' })).toBeVisible();
  await page.getByRole('button', { name: "Lose the provider's answer" }).click();
  await expect(page.getByText('its answer is lost')).toBeVisible();
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
  await expect(page.getByText('found the one charge')).toBeVisible();
  await page.getByRole('link', { name: 'Turn the protections off' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Without protections.');
});

// What each of the 8 guards prevents is proven where the naive shop is
// (TestEachGuardOffShowsItsHarmAndOnTakesItAway): here, what the page makes of it.
test('a guard taken away shows its harm, put back it is gone; at 390, 768, 1280 and 1920 px, light and dark: axe finds 0, nothing sticks out', async ({
  visitor,
}) => {
  test.setTimeout(240_000);
  const { page } = visitor;
  await open(page);
  await expect(page.getByTestId('guard')).toHaveCount(8);
  await look(page, 'compare-before');
  await page.getByTestId('compare').click();
  await expect(page.getByTestId('side-naive')).toHaveAttribute('data-harm', 'true', patience);
  for (const slug of ['key', 'inbox']) {
    await guard(page, slug).getByTestId('take-away').click();
    await expect(guard(page, slug)).toHaveAttribute('data-harm', 'true', patience);
    await expect(guard(page, slug)).toContainText('away: the harm is there');
  }
  await guard(page, 'inbox').getByTestId('put-back').click();
  await expect(guard(page, 'inbox')).toHaveAttribute('data-harm', 'false', patience);
  await expect(guard(page, 'inbox')).toContainText('back: the harm is gone');
  await expect(guard(page, 'inbox').getByRole('button')).toContainText('Take it away');
  await page.getByText('Defence in depth, and the code').first().click();
  await look(page, 'compare');
});
