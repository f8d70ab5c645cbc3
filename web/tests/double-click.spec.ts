import { run } from './demo.ts';
import { asStored } from './journal.ts';
import { fits } from './look.ts';
import { expect, test } from './visitor.ts';

for (const [width, height] of [
  [390, 844],
  [1280, 800],
  [1920, 1080],
] as const) {
  test.describe(`at ${width} px`, () => {
    test.use({ viewport: { width, height } });

    test('a double-click is 2 attempts and 1 of everything; axe finds 0 before and after, light and dark', async ({
      visitor,
    }) => {
      await visitor.open();
      await expect(visitor.page.getByRole('heading', { name: 'Double-click it.' })).toBeVisible();
      await fits(visitor.page, `shop-before-${width}`);

      await visitor.pay.dblclick();
      await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
      await visitor.oneOfEverything();
      await expect(visitor.attempts).toHaveCount(2);
      const fates = await visitor.fates();
      expect(fates.filter((fate) => fate === 'executed')).toHaveLength(1);
      expect(['replayed', 'waited']).toContain(fates.find((fate) => fate !== 'executed'));
      await expect(visitor.audit).toHaveAttribute('data-ok', 'true');
      await expect(visitor.pay).toHaveText('Pay €84.00 again (same key)');
      await fits(visitor.page, `shop-paid-${width}`);

      const receipts = await visitor.receipts();
      await expect(receipts).toHaveCount(1);
      await expect(receipts).toContainText('delivered once');
      const mailbox = visitor.page.getByRole('link', { name: 'Open the mailbox itself' });
      await expect(mailbox).toHaveAttribute('href', run().mailbox_url);
      await fits(visitor.page, `shop-mailbox-${width}`);
    });
  });
}

test('7 clicks, counted by the proof, are 1 charge, and the X-ray counted the same', async ({
  visitor,
}) => {
  await visitor.open();
  for (let click = 0; click < 7; click++) await visitor.pay.click({ delay: 0 });
  await expect(visitor.verdict).toHaveText('You clicked 7 times. You were charged once.');
  await expect(visitor.attempts).toHaveCount(7);
  await expect(visitor.node('browser')).toContainText('7 sent');
  await expect(visitor.node('api')).toContainText('7 in · 1 out · 6 absorbed');
  for (const consumer of ['ledger', 'email', 'tickets']) {
    await expect(visitor.node(consumer)).toContainText(/[1-9] in · [12] out/);
  }
});

test('each number of the page is the one that the stored events make: 5 clicks, and a sixth after them', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  for (let click = 0; click < 5; click++) await visitor.pay.click({ delay: 0 });
  await expect(visitor.verdict).toHaveText('You clicked 5 times. You were charged once.');
  await visitor.oneOfEverything();
  await expect(page.getByText(/^live/).first()).toBeVisible({ timeout: 20_000 });
  await asStored(page, 5);
  await visitor.pay.click();
  await expect(visitor.attempts).toHaveCount(6);
  await asStored(page, 6);
});

test('after a reload the page still knows the checkout, its key and its 2 attempts', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.chargedOnce();
  await visitor.page.reload();
  await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
  await expect(visitor.attempts).toHaveCount(2);
  await visitor.pay.click();
  await expect(visitor.verdict).toHaveText('You clicked 3 times. You were charged once.');
});

test('New checkout is a new payment: 0 attempts, another key', async ({ visitor }) => {
  await visitor.open();
  await visitor.pay.click();
  await visitor.chargedOnce();
  const key = (await visitor.page.getByText(/^key …/).textContent()) ?? '';
  await visitor.page.getByRole('button', { name: 'New checkout' }).click();
  await expect(visitor.attempts).toHaveCount(0);
  await expect(visitor.page.getByText(/^key …/)).not.toHaveText(key);
  await visitor.pay.click();
  await expect(visitor.verdict).toHaveText('You clicked once. You were charged once.');
});
