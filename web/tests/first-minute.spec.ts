import { run } from './demo.ts';
import { keep } from './keep.ts';
import { trackNode, wentDown } from './track.ts';
import { expect, test } from './visitor.ts';

// What docs/first-minute.md shows, done as a new visitor would, with the time of
// each step from the opening of the page. Times are told and never asserted.
test.describe('the first minute', { tag: '@kills' }, () => {
  test.use({ failuresExpected: true, viewport: { width: 1280, height: 800 } });

  test('open, double-click, let a gateway click, kill the API, refund, look behind it', async ({
    visitor,
  }) => {
    test.setTimeout(120_000);
    const { page } = visitor;
    const opened = Date.now();
    const step = async (n: number, name: string) => {
      console.log(`first minute, step ${n}, ${name}: after ${Date.now() - opened} ms`);
      await page.mouse.move(2, 2);
      keep(`first-minute-${n}-${name}.png`, await page.screenshot());
    };

    await page.goto(run().url);
    await expect(visitor.pay).toBeVisible();
    await expect(page.getByRole('heading', { name: 'Double-click it.' })).toBeVisible();
    await step(1, 'open');

    await visitor.pay.dblclick();
    await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
    await visitor.oneOfEverything();
    await step(2, 'double-click');

    await page.getByRole('button', { name: '10 clicks' }).click();
    await expect(visitor.verdict).toHaveText(
      'You and the gateway tried 12 times. You were charged once.',
    );
    await step(3, 'gateway');

    await trackNode(page, 'api');
    await page.getByRole('button', { name: /Kill the API after the charge/ }).click();
    await expect.poll(() => wentDown(page, 'api'), { intervals: [50] }).toBe(true);
    await step(4, 'killed');
    await visitor.chargedOnce();
    await visitor.oneOfEverything();
    await step(5, 'recovered');

    await page.getByTestId('refund').click();
    await expect(page.getByTestId('saga')).toHaveAttribute('data-state', 'completed');
    await page.getByTestId('refunds').scrollIntoViewIfNeeded();
    await step(6, 'refund');

    await page.getByRole('link', { name: 'whole story' }).click();
    await expect(page.getByTestId('story-line').first()).toBeVisible();
    await step(7, 'story');
  });
});
