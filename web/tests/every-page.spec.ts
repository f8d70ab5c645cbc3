import type { Page } from '@playwright/test';
import { kill, run } from './demo.ts';
import { look } from './look.ts';
import { shifts, watchShifts } from './shifts.ts';
import { trackNode, wentDownAndUp } from './track.ts';
import { expect, test, type Visitor } from './visitor.ts';

/** Every page there is, each with what shows that it has come. */
async function pages(visitor: Visitor): Promise<[path: string, seen: string | RegExp][]> {
  const { page } = visitor;
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.oneOfEverything();
  const story = await page.getByRole('link', { name: 'whole story' }).getAttribute('href');
  const payment = (story ?? '').replace('/payments/', '');
  const link = await page.evaluate(async (id) => {
    const answer = await fetch(`/v1/payments/${id}/recording`, { method: 'POST' });
    return ((await answer.json()) as { id: string }).id;
  }, payment);
  return [
    ['/', 'You clicked 2 times. You were charged once.'],
    ['/lab', 'Break it on purpose.'],
    ['/lab/two-tabs', 'Two tabs'],
    ['/lab/explain-it-back', 'Explain it back'],
    ['/compare', 'Without protections.'],
    [`/x-ray?payment=${payment}`, 'X-ray'],
    [`/payments/${payment}`, '€84.00, paid once'],
    ['/ops', 'Nothing needs you.'],
    ['/data', 'The rows behind it.'],
    ['/developers', 'Copy it, break it.'],
    [`/replay/${link}`, '€84.00, as it happened'],
    ['/docs', /payonce/],
  ];
}

/** For what computes for long: three workers share what may be two cores. */
const beside = 240_000;

async function visit(page: Page, path: string, seen: string | RegExp): Promise<void> {
  await page.goto(run().url + path);
  await expect(page.getByRole('heading', { level: 1, name: seen })).toBeVisible();
}

test('the keyboard reaches everything that can be pressed, each shows that it is there, none holds it', async ({
  visitor,
}) => {
  test.setTimeout(beside);
  const { page } = visitor;
  for (const [path, seen] of await pages(visitor)) {
    await visit(page, path, seen);
    const reached = new Set<string>();
    const dark: string[] = [];
    let around = false;
    for (let press = 0; press < 400 && !around; press++) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const focused = document.activeElement;
        if (focused === null || focused === document.body) return null;
        const style = getComputedStyle(focused);
        // A hidden input shows it on the label beside it, a node of the X-ray on its frame.
        const others = [focused.nextElementSibling, focused.querySelector(':scope > rect')];
        const rings = others.flatMap((one) => (one === null ? [] : [getComputedStyle(one)]));
        const seen =
          [style, ...rings].some((s) => s.outlineStyle !== 'none' || s.boxShadow !== 'none') ||
          rings.some((s) => s.stroke !== 'none' && s.stroke !== 'rgba(0, 0, 0, 0)');
        const name = `${focused.tagName} ${focused.outerHTML.slice(0, 90)}`;
        const first = focused.hasAttribute('data-tabbed');
        focused.setAttribute('data-tabbed', '');
        return { name, seen, again: first };
      });
      if (at === null || at.again) around = true;
      else {
        reached.add(at.name);
        if (!at.seen) dark.push(at.name);
      }
    }
    expect(around, `${path}: Tab comes around`).toBe(true);
    expect(dark, `${path}: has the focus and does not show it`).toEqual([]);
    const missed = await page.evaluate(() =>
      [
        ...document.querySelectorAll<HTMLElement>(
          'a[href], button, select, summary, textarea, input',
        ),
      ]
        .filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.tabIndex >= 0)
        .filter((one) => !(one as HTMLButtonElement).disabled && !one.hasAttribute('data-tabbed'))
        // Of a group of radio buttons the arrow keys reach the others.
        .filter((one) => !(one instanceof HTMLInputElement && one.type === 'radio'))
        .filter((one) => one.closest('dialog:not([open])') === null)
        .map((one) => one.outerHTML.slice(0, 120)),
    );
    expect(missed, `${path}: not reached by Tab`).toEqual([]);
    expect(reached.size, path).toBeGreaterThan(5);
  }
});

test.describe('with reduced motion', () => {
  test.use({ contextOptions: { reducedMotion: 'reduce' } });

  test('nothing moves by itself on any page', async ({ visitor }) => {
    test.setTimeout(120_000);
    const { page } = visitor;
    for (const [path, seen] of await pages(visitor)) {
      await visit(page, path, seen);
      await page.waitForTimeout(300);
      const moving = await page.evaluate(() =>
        document
          .getAnimations()
          .filter((a) => a.playState === 'running')
          .filter((a) => Number(a.effect?.getComputedTiming().duration ?? 0) > 10)
          .map((a) => (a.effect as KeyframeEffect | null)?.target?.outerHTML.slice(0, 80)),
      );
      expect(moving, path).toEqual([]);
    }
  });
});

test('a page that has come stays where it is: layout shift below 0.1, and each has a title and a language', async ({
  visitor,
}) => {
  test.setTimeout(120_000);
  const { page } = visitor;
  const all = await pages(visitor);
  await watchShifts(page);
  for (const [path, seen] of all) {
    await visit(page, path, seen);
    await page.waitForTimeout(1_000); // what comes late is what pushes
    const unasked = (await shifts(page)).filter(({ asked }) => !asked);
    const sum = unasked.reduce((total, { value }) => total + value, 0);
    expect(sum, `${path}: ${JSON.stringify(unasked)}`).toBeLessThan(0.1);
    expect(await page.title(), path).not.toBe('');
    expect(await page.locator('html').getAttribute('lang'), path).toBe('en');
    await expect(page.locator('main, [role="main"]'), path).toHaveCount(1);
  }
});

test('the reference at 390, 768, 1280 and 1920 px, light and dark: axe finds 0, nothing sticks out', async ({
  visitor,
}) => {
  test.setTimeout(beside); // 4,300 elements: axe alone computes for 23 s
  await visit(visitor.page, '/docs', /payonce/);
  await look(visitor.page, 'docs');
});

test('a hostile key and a hostile reason are text on every page', async ({ visitor }) => {
  test.setTimeout(120_000);
  const { page } = visitor;
  page.on('dialog', () => expect(true, 'a dialog was opened').toBe(false));
  const all = await pages(visitor);
  const payment = (all.find(([path]) => path.startsWith('/payments/'))?.[0] ?? '').slice(10);
  const hostile = '</script><img/src=x/onerror=alert(1)>';
  const statuses = await page.evaluate(
    async ([id, text]) => {
      const post = async (path: string, body: object) => {
        const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': text ?? '' };
        const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
        return answer.status;
      };
      const command = { amount_minor: 8400, currency: 'EUR', card_token: 'tok_ok' };
      const paid = await post(`/v1/payments/${id}/capture`, command);
      const refund = { payment_id: id, amount_minor: 1, reason: text };
      const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': `r-${id}` };
      const body = JSON.stringify(refund);
      const back = await fetch('/v1/refunds', { method: 'POST', headers, body });
      return [paid, back.status];
    },
    [payment, hostile],
  );
  expect(statuses).toEqual([200, 202]);
  let read = 0;
  for (const [path] of all) {
    await page.goto(run().url + path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await page.waitForTimeout(500); // everything that the page reads
    await expect(page.locator('img'), path).toHaveCount(0);
    if ((await page.locator('main, [role="main"]').innerText()).includes('onerror=alert(1)'))
      read++;
  }
  expect(read, 'pages that show it, as text').toBeGreaterThan(0);
});

test.describe('each process is killed while the shop is looked at', { tag: '@kills' }, () => {
  test.use({ failuresExpected: true });

  for (const [name, node] of [
    ['worker', 'ledger'],
    ['relay', 'relay'],
    ['api', 'api'],
    ['simulator', 'provider'],
    ['rabbitmq', 'rabbitmq'],
    ['postgres', 'postgres'],
  ] as const) {
    test(`${name}: its node greys, the page goes on, and all of it is there once afterwards`, async ({
      visitor,
    }) => {
      test.setTimeout(150_000);
      const { page } = visitor;
      await visitor.open();
      await visitor.pay.click();
      await visitor.oneOfEverything();
      await page.getByRole('button', { name: 'New checkout' }).click();
      await trackNode(page, node);
      const pid = await kill(name);
      await visitor.pay.click();
      await visitor.pay.click();
      await expect.poll(() => wentDownAndUp(page, node), { timeout: 60_000 }).toBe(true);
      await expect(visitor.verdict).toContainText('You were charged once.', { timeout: 60_000 });
      await expect(visitor.effects).toHaveAttribute('data-mails', '1', { timeout: 60_000 });
      await visitor.oneOfEverything();
      const ids = await visitor.attempts.evaluateAll((rows) =>
        rows.map((row) => row.textContent ?? ''),
      );
      expect(new Set(ids).size, 'no row twice').toBe(ids.length);
      expect((await visitor.fates()).filter((fate) => fate === 'executed').length).toBeLessThan(2);
      await expect.poll(() => run().pids[name]).not.toBe(pid);
    });
  }
});
