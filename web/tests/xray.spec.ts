import type { Page } from '@playwright/test';
import { tellEvent } from '../src/model/story.ts';
import { kill, run } from './demo.ts';
import { storedEvents } from './journal.ts';
import { keep } from './keep.ts';
import { fits, sizes } from './look.ts';
import { listens, trackNode, wentDownAndUp } from './track.ts';
import { expect, test, type Visitor } from './visitor.ts';

const scrubber = (page: Page) => page.getByTestId('scrubber');
const live = (page: Page) => page.getByTestId('live');

/** A payment with a twin and a refund, so that every node has something to say. */
async function refunded(visitor: Visitor): Promise<string> {
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
  await visitor.page.getByTestId('refund').click();
  await expect(visitor.page.getByTestId('saga')).toHaveAttribute('data-state', 'completed');
  const story = await visitor.page.getByRole('link', { name: 'whole story' }).getAttribute('href');
  return (story ?? '').replace('/payments/', '');
}

/** The /x-ray of a payment, once its index is there. */
async function watch(page: Page, payment: string): Promise<void> {
  await page.goto(`${run().url}/x-ray?payment=${payment}`);
  await expect(scrubber(page)).not.toHaveAttribute('data-length', '0');
}

test('at 390, 768, 1280 and 1920 px, light and dark, axe finds 0 and nothing sticks out', async ({
  visitor,
}) => {
  test.setTimeout(180_000);
  const { page } = visitor;
  await watch(page, await refunded(visitor));
  await expect(visitor.node('saga')).toContainText(/[1-9] in/);
  for (const [width, height] of sizes) {
    await page.setViewportSize({ width, height });
    await page.keyboard.press('End');
    await expect(live(page)).toHaveAttribute('data-live', 'true');
    await fits(page, `x-ray-live-${width}`);

    await page.keyboard.press('Shift+ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await expect(live(page)).toHaveAttribute('data-live', 'false');
    await expect(page.locator('[data-event][transform]').first()).toBeVisible();
    await expect(page.locator('html')).toHaveJSProperty('scrollLeft', 0);
    await fits(page, `x-ray-back-${width}`);

    await page.locator('[data-handle="ledger"]').press('Enter');
    await expect(page.getByTestId('node-row').first()).toBeVisible();
    await fits(page, `x-ray-node-${width}`);
    await page.keyboard.press('Escape');
    await expect(page.getByRole('dialog')).toBeHidden();
  }
});

test('every token is an event that the journal holds, also those of a refund', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await page.evaluate(() => {
    const seen = new Set<string>();
    (window as unknown as { seen: Set<string> }).seen = seen;
    const look = () => {
      for (const token of document.querySelectorAll('svg[role="img"] g[transform]')) {
        for (const id of (token.getAttribute('data-event') ?? 'none').split(' ')) seen.add(id);
      }
      requestAnimationFrame(look);
    };
    look();
  });
  await visitor.pay.dblclick();
  await visitor.oneOfEverything();
  await page.getByTestId('refund').click();
  await expect(page.getByTestId('saga')).toHaveAttribute('data-state', 'completed');
  await expect(visitor.node('saga')).toContainText(/[5-9] in · [5-9] out/);
  await expect(page.getByText(/^live/).first()).toBeVisible({ timeout: 20_000 });
  const href = await page.getByRole('link', { name: 'whole story' }).getAttribute('href');
  const stored = await storedEvents(page, (href ?? '').replace('/payments/', ''));
  const seen = await page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen]);
  expect(seen.length).toBeGreaterThan(15);
  const known = new Map(stored.map(({ id, node }) => [id, node]));
  expect(seen.filter((id) => !known.has(id))).toEqual([]);
  expect(seen.map((id) => known.get(id))).toContain('saga');
});

test.describe('a decline first', () => {
  test.use({ failuresExpected: true });

  test('each line of the list is its stored event: what a second attempt caused is no second delivery', async ({
    visitor,
  }) => {
    const { page } = visitor;
    await visitor.open();
    await visitor.card('Declined');
    await visitor.pay.click();
    await expect(visitor.verdict).toContainText('You were not charged.');
    await visitor.card('Works');
    await visitor.pay.click();
    await visitor.oneOfEverything();
    const href = await page.getByRole('link', { name: 'on its own page' }).getAttribute('href');
    const payment = (href ?? '').split('payment=').at(-1) ?? '';
    await watch(page, payment);

    const stored = new Map((await storedEvents(page, payment)).map((e) => [e.id, tellEvent(e)]));
    const lines = page.getByTestId('event');
    await expect(lines.filter({ hasText: 'got “payment.captured”' })).toHaveCount(3);
    await lines.last().scrollIntoViewIfNeeded();
    keep('page-stored-events.png', await page.screenshot());
    const shown = await lines.evaluateAll((rows) =>
      rows.map((row) => ({
        id: row.getAttribute('data-event') ?? '',
        said: row.querySelector('.text')?.textContent,
      })),
    );
    expect(shown.map(({ said }) => said)).toEqual(
      shown.map(({ id }) => {
        const line = stored.get(id);
        return line && `${line.who}${line.whole ? ':' : ''} ${line.text}`;
      }),
    );
  });
});

test('stepping back shows the counts as they were, End shows them as they are', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.oneOfEverything();
  await page.getByRole('link', { name: 'on its own page' }).click();
  await expect(visitor.node('api')).toContainText('2 in · 1 out · 1 absorbed');
  await expect(visitor.node('ledger')).toContainText('1 in · 1 out');
  await page.keyboard.press('Home');
  await expect(scrubber(page)).toHaveAttribute('data-head', '0');
  await expect(visitor.node('api')).toContainText('0 in · 0 out · 0 absorbed');
  await expect(visitor.node('provider')).toContainText('0 in · 0 out');
  await expect(visitor.node('ledger')).toContainText('0 in · 0 out');
  await expect(visitor.node('tickets')).toContainText('0 in · 0 out');
  await page.keyboard.press('ArrowRight');
  await expect(visitor.node('browser')).toContainText('1 sent');
  await expect(visitor.node('api')).toContainText('1 in · 0 out');
  await page.keyboard.press('Shift+ArrowRight');
  await expect(scrubber(page)).toHaveAttribute('data-head', '11');
  await page.keyboard.press('End');
  await expect(live(page)).toHaveText('LIVE');
  await expect(visitor.node('api')).toContainText('2 in · 1 out · 1 absorbed');
  await expect(visitor.node('tickets')).toContainText('1 in · 2 out');
});

test('looking back, the pill is amber and counts what comes; the head stays', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.click();
  await visitor.oneOfEverything();
  const href = await page.getByRole('link', { name: 'on its own page' }).getAttribute('href');
  const xray = await page.context().newPage();
  await xray.goto(run().url + (href ?? ''));
  await expect(scrubber(xray)).not.toHaveAttribute('data-length', '0');
  await expect(live(xray)).toHaveText('LIVE');
  const green = await live(xray).evaluate((pill) => getComputedStyle(pill).color);

  await xray.keyboard.press('ArrowLeft');
  await xray.keyboard.press('ArrowLeft');
  const head = await scrubber(xray).getAttribute('data-head');
  await expect(live(xray)).toHaveText(/^\d+ behind$/);
  expect(await live(xray).evaluate((pill) => getComputedStyle(pill).color)).not.toBe(green);

  const behind = async () => Number(await live(xray).getAttribute('data-behind'));
  const before = await behind();
  await visitor.pay.click();
  await expect(visitor.attempts).toHaveCount(2);
  await expect.poll(behind).toBeGreaterThanOrEqual(before + 2); // arrived, and answered again
  await expect(scrubber(xray)).toHaveAttribute('data-head', head ?? '');
  await live(xray).click();
  await expect(live(xray)).toHaveText('LIVE');
  await expect(visitor.node('api')).toContainText('2 in · 1 out · 1 absorbed');
  await xray.close();
});

test('with the keyboard alone: play from the start, catch up, open a node, close it', async ({
  visitor,
}) => {
  test.setTimeout(90_000);
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.click();
  await visitor.oneOfEverything();
  await page.getByRole('link', { name: 'on its own page' }).press('Enter');
  await expect(scrubber(page)).not.toHaveAttribute('data-length', '0');
  await page.getByLabel('Speed').focus();
  await page.getByLabel('Speed').selectOption('4×');
  await page.getByRole('button', { name: 'One event on' }).focus();
  await page.keyboard.press('Home');
  await expect(scrubber(page)).toHaveAttribute('data-head', '0');
  await page.keyboard.press('.');
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  await expect(page.locator('[data-event][transform]').first()).toBeVisible();
  await expect(live(page)).toHaveText('LIVE');

  const slider = page.getByRole('slider', { name: 'Stored events' });
  await slider.focus();
  await page.keyboard.press('ArrowLeft');
  await expect(live(page)).toHaveAttribute('data-behind', /^[1-9]/);

  for (const [node, shows] of [
    ['relay', 'engine.go'],
    ['rabbitmq', 'Topology'],
    ['provider', 'charge at the provider'],
    ['email', 'mail in the mailbox'],
  ] as const) {
    await page.locator(`[data-handle="${node}"]`).focus();
    await page.keyboard.press('Enter');
    const sheet = page.getByRole('dialog');
    await expect(sheet.getByText(shows).first()).toBeVisible();
    await expect(sheet.getByTestId('code').first()).toContainText(/(internal|once)\//);
    await page.keyboard.press('Escape');
    await expect(sheet).toBeHidden();
    await expect(page.locator(`[data-handle="${node}"]`)).toBeFocused();
  }
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys' })).toContainText('with Shift ten');
});

test('a click on a node opens its live rows: ledger entries, and more after a refund', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.click();
  await visitor.oneOfEverything();
  await visitor.node('ledger').click();
  const entries = page.locator('[data-table="ledger_entries"] [data-testid="node-row"]');
  await expect(entries).toHaveCount(2);
  await page.keyboard.press('Escape');
  await page.getByTestId('refund').click();
  await expect(page.getByTestId('saga')).toHaveAttribute('data-state', 'completed');
  await visitor.node('saga').click();
  await expect(page.locator('[data-table="sagas"] [data-testid="node-row"]')).toHaveCount(1);
  await expect(page.locator('[data-table="sagas"]')).toContainText('completed');
  await page.keyboard.press('Escape');
  await visitor.node('ledger').click();
  await expect.poll(() => entries.count()).toBeGreaterThan(2);
});

test('without an address it shows the newest payment and follows the next; a stranger sees none', async ({
  visitor,
  browser,
}) => {
  const { page } = visitor;
  await page.goto(`${run().url}/x-ray`);
  await expect(page.getByText('No payments yet.').first()).toBeVisible();
  const context = page.context();
  const shop = new (await import('./visitor.ts')).Visitor(await context.newPage());
  await shop.open();
  await shop.pay.click();
  await shop.oneOfEverything();
  const first = page.getByRole('link', { name: /^payment/ });
  await expect(visitor.node('api')).toContainText('1 in · 1 out');
  const href = await first.getAttribute('href');
  await shop.page.getByRole('button', { name: 'New checkout' }).click();
  await shop.pay.click();
  await shop.oneOfEverything();
  await expect(first).not.toHaveAttribute('href', href ?? '');
  await expect(visitor.node('api')).toContainText('1 in · 1 out');

  const other = await browser.newContext();
  const stranger = await other.newPage();
  await stranger.goto(`${run().url}/x-ray?payment=${(href ?? '').replace('/payments/', '')}`);
  await expect(stranger.getByText('There is no such payment in your sandbox.')).toBeVisible();
  await other.close();
  await shop.page.close();
});

test('a burst of 50 is 50 rows and 49 absorbed, and can be looked back at in the shop', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await expect(scrubber(page)).toHaveCount(0);
  await page.getByRole('button', { name: '50 clicks' }).click();
  await visitor.chargedOnce();
  await expect(visitor.attempts).toHaveCount(50);
  await visitor.oneOfEverything();
  await expect(page.getByText(/^live/).first()).toBeVisible({ timeout: 20_000 });
  await expect(visitor.node('api')).toContainText('50 in · 1 out · 49 absorbed');
  await expect(visitor.node('gateway')).toContainText('50 sent');
  await page.keyboard.press('ArrowLeft');
  await expect(live(page)).toHaveText(/^\d+ behind$/);
  await live(page).click();

  await page.reload();
  await expect(visitor.attempts).toHaveCount(50);
  await expect(visitor.node('gateway')).toContainText('50 sent');
  await expect(visitor.node('api')).toContainText('50 in · 1 out · 49 absorbed');
});

test.describe('with reduced motion', () => {
  test.use({ contextOptions: { reducedMotion: 'reduce' } });

  test('a step puts the token where it ends: 1 position', async ({ visitor }) => {
    const { page } = visitor;
    const payment = await refunded(visitor);
    await watch(page, payment);
    await page.keyboard.press('Home');
    await page.evaluate(() => {
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
    await page.keyboard.press('ArrowRight');
    await expect(page.locator('[data-event][transform]')).toHaveCount(1);
    await expect(page.getByTestId('caption')).toContainText('reaches the API');
    await page.waitForFunction(() => (window as unknown as { seen: Set<string> }).seen.size === 1);
  });
});

test.describe('killed parts', { tag: '@kills' }, () => {
  test.use({ failuresExpected: true });

  test('a killed worker greys its 4 nodes, says so, and the page catches up by itself', async ({
    visitor,
  }) => {
    test.setTimeout(120_000);
    const { page } = visitor;
    const context = page.context();
    await page.goto(`${run().url}/x-ray`);
    const shop = new (await import('./visitor.ts')).Visitor(await context.newPage());
    await shop.open();
    await listens(page);
    // It is back before one has asked about the fourth node, so what was grey is written down.
    await page.evaluate(() => {
      const grey = new Map<string, string>();
      (window as unknown as { grey: Map<string, string> }).grey = grey;
      new MutationObserver(() => {
        for (const node of document.querySelectorAll('[data-node][data-state="down"]')) {
          const caption = document.querySelector('[data-testid="caption"]')?.textContent ?? '';
          grey.set(node.getAttribute('data-node') ?? '', caption.trim());
        }
      }).observe(document.body, { subtree: true, childList: true, attributes: true });
    });
    const grey = () =>
      page.evaluate(() => [...(window as unknown as { grey: Map<string, string> }).grey]);
    await kill('worker');
    await shop.pay.dblclick();
    await expect
      .poll(async () => (await grey()).map(([node]) => node).sort())
      .toEqual(['email', 'ledger', 'saga', 'tickets']);
    for (const [, said] of await grey()) expect(said).toContain('events wait in their queues');
    await shop.oneOfEverything();
    for (const node of ['ledger', 'email', 'tickets', 'saga']) {
      await expect(visitor.node(node)).toHaveAttribute('data-state', 'up');
    }
    await expect(visitor.node('ledger')).toContainText(/[1-9] in · 1 out/);
    await shop.page.close();
  });

  test('a killed api is resumed from without doubling a row', async ({ visitor }) => {
    const { page } = visitor;
    const context = page.context();
    await page.goto(`${run().url}/x-ray`);
    const shop = new (await import('./visitor.ts')).Visitor(await context.newPage());
    await shop.open();
    await shop.pay.dblclick();
    await shop.oneOfEverything();
    await expect(visitor.node('api')).toContainText('2 in · 1 out · 1 absorbed');
    await trackNode(page, 'api');
    await kill('api');
    await expect.poll(() => wentDownAndUp(page, 'api')).toBe(true);
    await shop.pay.click();
    await expect(visitor.node('api')).toContainText('3 in · 1 out · 2 absorbed');
    const rows = await page
      .getByTestId('event')
      .evaluateAll((lines) => lines.map((line) => line.dataset['event']));
    expect(rows.length).toBeGreaterThan(10);
    expect(new Set(rows).size).toBe(rows.length);
    await shop.page.close();
  });
});
