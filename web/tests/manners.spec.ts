import { keep } from './keep.ts';
import { shifts, watchShifts } from './shifts.ts';
import { expect, test } from './visitor.ts';

test('with the keyboard alone: space pays, letters work, and can be switched off', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await page.keyboard.press('Space');
  await page.keyboard.press('Space');
  await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');

  await page.keyboard.press('b');
  await expect(visitor.verdict).toHaveText(
    'You and the gateway tried 12 times. You were charged once.',
  );

  await page.keyboard.press('p');
  await expect(page.locator('html')).toHaveAttribute('data-projector', 'on');
  await page.keyboard.press('p');
  await expect(page.locator('html')).toHaveAttribute('data-projector', 'off');

  await page.keyboard.press('?');
  const sheet = page.getByRole('dialog', { name: 'Keys' });
  await expect(sheet).toBeVisible();
  await sheet.getByRole('checkbox', { name: 'Single-letter keys' }).focus();
  await page.keyboard.press('Space');
  await page.keyboard.press('Escape');
  await expect(sheet).toBeHidden();
  await page.locator('body').click({ position: { x: 5, y: 5 } });
  await page.keyboard.press('p');
  await expect(page.locator('html')).toHaveAttribute('data-projector', 'off');
});

test.describe('at 1920 px', () => {
  test.use({ viewport: { width: 1920, height: 1080 } });

  test('projector mode is a choice: 2 attempts are listed until P, and every page keeps it', async ({
    visitor,
  }) => {
    const { page } = visitor;
    const root = page.locator('html');
    await visitor.open();
    await expect(root).toHaveAttribute('data-projector', 'off');
    await visitor.pay.dblclick();
    await expect(visitor.attempts).toHaveCount(2);
    keep('page-wide.png', await page.screenshot());
    await page.keyboard.press('p');
    await expect(visitor.attempts).toHaveCount(0);
    await page.goto(new URL('/ops', page.url()).href);
    await expect(root).toHaveAttribute('data-projector', 'on');
    await page.getByRole('button', { name: 'Projector mode' }).click();
    await expect(root).toHaveAttribute('data-projector', 'off');
    await visitor.open();
    await expect(visitor.attempts).toHaveCount(2);
  });
});

test('tabbing reaches Pay, shows where it is, and Enter pays', async ({ visitor }) => {
  const { page } = visitor;
  await visitor.open();
  for (let step = 0; step < 30; step++) {
    await page.keyboard.press('Tab');
    if (await visitor.pay.evaluate((button) => button === document.activeElement)) break;
  }
  await expect(visitor.pay).toBeFocused();
  expect(await visitor.pay.evaluate((b) => getComputedStyle(b).boxShadow)).not.toBe('none');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await expect(visitor.verdict).toHaveText('You clicked 2 times. You were charged once.');
});

test.describe('with reduced motion', () => {
  test.use({ contextOptions: { reducedMotion: 'reduce' } });

  test('tokens jump from place to place: 0 positions in between', async ({ visitor }) => {
    await visitor.open();
    await visitor.page.evaluate(() => {
      const seen = new Set<string>();
      (window as unknown as { seen: Set<string> }).seen = seen;
      const look = () => {
        for (const token of document.querySelectorAll('svg[role="img"] g[transform]')) {
          seen.add(token.getAttribute('transform') ?? '');
        }
        requestAnimationFrame(look);
      };
      look();
    });
    await visitor.pay.dblclick();
    await visitor.oneOfEverything();
    const places = () =>
      visitor.page.evaluate(() => (window as unknown as { seen: Set<string> }).seen.size);
    // The numbers are there before the drawing has begun, and "live" is said then too.
    await expect.poll(places).toBeGreaterThan(3);
    await expect(visitor.page.getByText(/^live/).first()).toBeVisible();
    expect(await places()).toBeLessThan(25);
  });
});

test.describe('a hostile address', () => {
  test.use({ failuresExpected: true });

  test('that is refused is shown as text, beside the field that is wrong', async ({ visitor }) => {
    const { page } = visitor;
    const hostile = '<img/src=x/onerror=alert(1)>@example.org';
    await visitor.open();
    await page.getByLabel('Receipt to').fill(hostile);
    await visitor.pay.click();
    await expect(page.getByRole('alert')).toContainText('/email');
    await expect(page.getByLabel('Receipt to')).toHaveAttribute('aria-invalid', 'true');
    await expect(page.getByLabel('Receipt to')).toHaveValue(hostile);
    await expect(page.locator('img')).toHaveCount(0);
  });

  test('that is accepted is shown letter by letter in the mailbox', async ({ visitor }) => {
    const { page } = visitor;
    const hostile = "&ltimg/src=x/onerror='alert`1`'&gt{{7*7}}${7*7}@example.org";
    page.on('dialog', () => expect(true, 'a dialog was opened').toBe(false));
    await visitor.open();
    await page.getByLabel('Receipt to').fill(hostile);
    await visitor.pay.click();
    await visitor.oneOfEverything();
    await expect(await visitor.receipts()).toContainText(`to ${hostile}`);
    await expect(page.locator('img')).toHaveCount(0);
  });
});

test('an address that is typed before the visitor has one is not written over', async ({
  visitor,
}) => {
  const { page } = visitor;
  let answer = () => {};
  const known = new Promise<void>((resolve) => (answer = resolve));
  await page.route('**/v1/sandboxes/current', async (route) => {
    await known;
    await route.continue();
  });
  await visitor.open();
  await page.getByLabel('Receipt to').fill('ada@example.org');
  const answered = page.waitForResponse('**/v1/sandboxes/current');
  answer();
  await answered;
  await visitor.pay.click();
  await visitor.oneOfEverything();
  await expect(await visitor.receipts()).toContainText('to ada@example.org');
});

test('2 visitors never see each other: no order, no mail, no event', async ({
  visitor,
  browser,
}) => {
  await visitor.open();
  const other = await browser.newContext();
  const stranger = new (await import('./visitor.ts')).Visitor(await other.newPage());
  await stranger.open();

  await visitor.pay.dblclick();
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
  const order = await visitor.page.getByRole('link', { name: 'second tab' }).getAttribute('href');

  await expect(stranger.node('api')).toContainText('0 in');
  await expect(stranger.attempts).toHaveCount(0);
  await expect(await stranger.receipts()).toHaveCount(0);
  await stranger.page.goto(new URL(order ?? '', stranger.page.url()).href);
  await expect(stranger.page.getByRole('alert')).toBeVisible();
  await expect(stranger.attempts).toHaveCount(0);
  await other.close();
});

test('2 tabs on one order have a key each and make 1 charge', async ({ visitor, context }) => {
  await visitor.open();
  await visitor.pay.click();
  await visitor.chargedOnce();
  const opened = context.waitForEvent('page');
  await visitor.page.getByRole('link', { name: 'second tab' }).click();
  const second = new (await import('./visitor.ts')).Visitor(await opened);
  await expect(second.verdict).toContainText('You were charged once.');
  await second.pay.click();
  await expect(second.attempts).toHaveCount(2);
  expect((await second.fates()).sort()).toEqual(['executed', 'matched']);
  await expect(second.effects).toHaveAttribute('data-charges', '1');
  await expect(visitor.attempts).toHaveCount(2); // the first tab hears of it too
});

test('the first load is at most 250 KiB', async ({ visitor }) => {
  const sizes: Promise<number>[] = [];
  visitor.page.on('requestfinished', (request) => {
    if (!request.url().includes('/v1/stream')) {
      sizes.push(request.sizes().then((s) => s.responseBodySize));
    }
  });
  await visitor.open();
  await visitor.page.waitForLoadState('load');
  await expect(visitor.audit).toHaveAttribute('data-ok', 'true');
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThanOrEqual(250 * 1024);
});

for (const [width, height] of [
  [390, 844],
  [1280, 800],
] as const) {
  test.describe(`at ${width} px`, () => {
    test.use({ viewport: { width, height } });

    test('nothing in view moves by itself while a double-click becomes a verdict', async ({
      visitor,
    }) => {
      await watchShifts(visitor.page);
      await visitor.open();
      // What stands there for a moment only, if at all: each has the room of the others.
      const heights = await visitor.page.evaluate(
        (sentences) => {
          const title = document.querySelector('h1');
          if (title === null) return [];
          const before = title.innerHTML;
          const all = sentences.map((sentence) => {
            title.textContent = sentence;
            return title.offsetHeight;
          });
          title.innerHTML = before;
          return [title.offsetHeight, ...all];
        },
        [
          'You clicked 2 times. You were charged once.',
          'You clicked 2 times. Charged? Not known yet.',
          'You clicked 2 times. The provider is silent.',
          'You clicked 10 times. You were charged once.',
        ],
      );
      expect(new Set(heights).size, `${heights.join(', ')} px`).toBe(1);
      await visitor.pay.dblclick();
      await visitor.chargedOnce();
      await visitor.oneOfEverything();
      const moved = (await shifts(visitor.page)).filter(({ value }) => value > 0.005);
      expect(moved.map(({ value, who }) => `${value.toFixed(3)} ${who}`)).toEqual([]);
    });
  });
}
