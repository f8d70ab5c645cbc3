import { expect, test } from './visitor.ts';

test('50 attempts of the gateway with the same key are 1 charge and 49 absorbed', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.page.getByRole('button', { name: '50 clicks' }).click();
  await expect(visitor.verdict).toHaveText('The gateway tried 50 times. You were charged once.');
  await expect(visitor.attempts).toHaveCount(50);
  const fates = await visitor.fates();
  expect(fates.filter((fate) => fate === 'executed')).toHaveLength(1);
  expect(fates.every((fate) => ['executed', 'replayed', 'waited'].includes(fate))).toBe(true);
  await visitor.oneOfEverything();
  await expect(visitor.node('gateway')).toContainText('50 sent');
  await expect(visitor.node('browser')).toContainText('0 sent');
});

test('10 attempts with 10 fresh keys are 1 charge, matched by the payment itself', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.page.getByRole('radio', { name: 'fresh keys' }).check();
  await visitor.page.getByRole('button', { name: '10 clicks' }).click();
  await expect(visitor.verdict).toHaveText('The gateway tried 10 times. You were charged once.');
  await expect(visitor.attempts).toHaveCount(10);
  expect((await visitor.fates()).sort()).toEqual(['executed', ...Array<string>(9).fill('matched')]);
  await visitor.oneOfEverything();
});

test('the gateway and the visitor are named apart: 2 clicks and 10 attempts make 12', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.chargedOnce();
  await visitor.page.getByRole('button', { name: '10 clicks' }).click();
  await expect(visitor.verdict).toHaveText(
    'You and the gateway tried 12 times. You were charged once.',
  );
  await expect(visitor.node('browser')).toContainText('2 sent');
  await expect(visitor.node('gateway')).toContainText('10 sent');
});

test('a burst draws at most 30 tokens at any moment', async ({ visitor }) => {
  await visitor.open();
  await visitor.page.evaluate(() => {
    const most = window as unknown as { mostTokens: number };
    most.mostTokens = 0;
    const look = () => {
      const tokens = document.querySelectorAll('svg[role="img"] g[transform]').length;
      most.mostTokens = Math.max(most.mostTokens, tokens);
      requestAnimationFrame(look);
    };
    look();
  });
  await visitor.page.getByRole('button', { name: '50 clicks' }).click();
  await visitor.chargedOnce();
  await expect(visitor.attempts).toHaveCount(50);
  const drawn = () =>
    visitor.page.evaluate(() => (window as unknown as { mostTokens: number }).mostTokens);
  // Numbers and list are at the truth at once; the drawing has a clock of its own.
  await expect.poll(drawn, { timeout: 15_000 }).toBeGreaterThan(1);
  await expect(visitor.page.getByText(/^live/).first()).toBeVisible({ timeout: 15_000 });
  const most = await drawn();
  expect(most).toBeLessThanOrEqual(30);
});
