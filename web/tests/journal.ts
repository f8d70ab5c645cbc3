import { expect, type Page } from '@playwright/test';
import type { Activity } from '../src/api/shapes.ts';
import { duration } from '../src/model/time.ts';

/** Every event that the journal holds of a payment, oldest first. */
export function storedEvents(page: Page, payment: string): Promise<Activity[]> {
  return page.evaluate(async (id) => {
    const events: Activity[] = [];
    for (let cursor = ''; ;) {
      const more = cursor === '' ? '' : `&cursor=${cursor}`;
      const answer = await fetch(`/v1/payments/${id}/activity?limit=100${more}`);
      const body = (await answer.json()) as { data: Activity[]; next_cursor: string | null };
      events.push(...body.data);
      if (body.next_cursor === null) return events;
      cursor = body.next_cursor;
    }
  }, payment);
}

/** The payment that the Shop page shows. */
export async function shownPayment(page: Page): Promise<string> {
  const href = await page.getByRole('link', { name: 'whole story' }).getAttribute('href');
  return href?.split('/').at(-1) ?? '';
}

/**
 * Each number that the Shop page says of its payment is the one that the payment's
 * stored events make: attempts, requests, replays, duration, deliveries and charges.
 * What it is given are the clicks that it was given.
 */
export async function asStored(page: Page, clicks: number): Promise<Activity[]> {
  // At rest: a browser that waits for its turn asks once more, also when the page has
  // learned from the stream meanwhile that the shop has recovered by itself.
  await expect(page.locator('.line')).toContainText('to the commit it took');
  const events = await storedEvents(page, await shownPayment(page));
  const captures = events.filter(({ operation }) => operation === 'capture');
  const began = ({ kind }: Activity) => kind === 'attempt.received' || kind === 'interrupted';
  const of = (kind: string) => events.filter((event) => event.kind === kind);

  const requests = new Set(captures.filter(began).map(({ trace_id }) => trace_id)).size;
  const tries = `${clicks === 1 ? '1 click' : `${clicks} clicks`}, ${requests} requests.`;
  const clicked = `You clicked ${clicks === 1 ? 'once' : `${clicks} times`}.`;
  await expect(page.getByTestId('verdict')).toHaveText(
    `${requests === clicks ? clicked : tries} You were charged once.`,
  );
  await expect(page.getByTestId('attempt')).toHaveCount(requests);

  const fates = ['replayed', 'waited', 'matched'];
  for (const fate of fates) {
    const stored = new Set(captures.filter(({ kind }) => kind === fate).map((e) => e.trace_id));
    const rows = page.locator(`[data-testid="attempt"][data-fate="${fate}"]`);
    await expect(rows, fate).toHaveCount(stored.size);
  }
  const absorbed = await page
    .getByTestId('attempt')
    .evaluateAll(
      (rows, all) => rows.filter((row) => all.some((fate) => row.dataset['fate'] === fate)).length,
      fates,
    );
  await expect(page.locator('[data-node="api"]')).toContainText(
    new RegExp(`(^|\\D)${requests} in · \\d+ out · ${absorbed} absorbed`),
  );

  const times = (found: Activity[]) => found.map(({ at }) => Date.parse(at));
  const first = Math.min(...times(captures.filter(began)));
  const [committed = 0] = times(captures.filter(({ kind }) => kind === 'committed'));
  await expect(page.locator('.line')).toContainText(duration(committed - first));

  const answers = of('charge.answered').filter(({ detail }) => detail === 'succeeded');
  const charged = new Set(answers.map(({ attempt }) => attempt)).size;
  const deliveries = of('delivered').length;
  const ways = [
    clicks === 1 ? '1 click' : `${clicks} clicks`,
    requests === 1 ? '1 HTTP attempt' : `${requests} HTTP attempts`,
    deliveries === 1 ? '1 broker delivery' : `${deliveries} broker deliveries`,
    charged === 1 ? '1 charge,' : `${charged} charges,`,
  ];
  await expect(page.locator('.chain')).toContainText(ways.join(' → '));
  await expect(page.locator('[data-node="rabbitmq"]')).toContainText(`· ${deliveries} out`);
  await expect(page.getByTestId('effects')).toHaveAttribute('data-charges', String(charged));
  await expect(page.getByTestId('effects')).toHaveAttribute(
    'data-mails',
    String(of('mail.sent').length),
  );
  return captures;
}
