import type { Page } from '@playwright/test';
import { expect, test } from './visitor.ts';

/** What a browser does that has no room left, refuses storage, or refuses what tabs share as well. */
const refusals: Record<string, (page: Page) => Promise<unknown>> = {
  'has no room': (page) =>
    page.addInitScript(() => {
      Storage.prototype.setItem = () => {
        throw new DOMException('full', 'QuotaExceededError');
      };
    }),
  refuses: (page) =>
    page.addInitScript(() => {
      for (const name of ['sessionStorage', 'localStorage', 'BroadcastChannel']) {
        Object.defineProperty(window, name, {
          get() {
            throw new DOMException('denied', 'SecurityError');
          },
        });
      }
    }),
  'is refused to one tab': (page) =>
    page.addInitScript(() => {
      Object.defineProperty(window, 'sessionStorage', {
        get() {
          throw new DOMException('denied', 'SecurityError');
        },
      });
    }),
  'refuses locks': (page) =>
    page.addInitScript(() => {
      Object.defineProperty(window, 'localStorage', {
        get() {
          throw new DOMException('denied', 'SecurityError');
        },
      });
      LockManager.prototype.request = () =>
        Promise.reject(new DOMException('denied', 'SecurityError'));
    }),
};

for (const [does, arrange] of Object.entries(refusals)) {
  test(`a browser whose storage ${does}: the page pays, refunds once, and says what it forgets`, async ({
    visitor,
  }) => {
    const { page } = visitor;
    await arrange(page);
    await visitor.open();
    await expect(page.getByTestId('unkept')).toContainText(
      does === 'refuses locks' ? 'Looks and keys last' : 'After a reload',
    );
    await page.keyboard.press('p');
    await expect(page.locator('html')).toHaveAttribute('data-projector', 'on');
    await page.keyboard.press('p');
    await visitor.pay.dblclick();
    await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
    await visitor.oneOfEverything();
    await expect(page.getByText(/^live/).first()).toBeVisible();
    await page.getByTestId('refund').dblclick();
    await expect(page.getByTestId('saga')).toHaveCount(1);
    await page.getByRole('button', { name: /^Dismiss: this browser/ }).click();
    await expect(page.getByTestId('unkept')).toHaveCount(0);

    for (const path of ['/developers', '/x-ray', '/lab']) {
      await page.goto(new URL(path, page.url()).href);
      await expect(page.locator('main h1')).toBeVisible();
    }
  });
}

test('a browser that keeps what the page wants kept says nothing of it', async ({ visitor }) => {
  await visitor.open();
  await expect(visitor.audit).toHaveAttribute('data-ok', 'true');
  await expect(visitor.page.getByTestId('unkept')).toHaveCount(0);
});
