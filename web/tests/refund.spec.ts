import { execFileSync } from 'node:child_process';
import { findings } from './axe.ts';
import { run } from './demo.ts';
import { expect, test, type Visitor } from './visitor.ts';

async function paid(visitor: Visitor, card?: string): Promise<void> {
  await visitor.open();
  if (card !== undefined) await visitor.card(card);
  await visitor.pay.click();
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
}

const saga = (visitor: Visitor) => visitor.page.getByTestId('saga');
const refund = (visitor: Visitor) => visitor.page.getByTestId('refund');
const step = (visitor: Visitor, name: string, direction: 'do' | 'undo') =>
  visitor.page.locator(`[data-step="${name}"][data-direction="${direction}"]`);

test('a refund is asked for twice and goes back once: 4 steps done, tickets void, and a mail', async ({
  visitor,
}) => {
  await paid(visitor);
  await refund(visitor).dblclick();
  await expect(saga(visitor)).toHaveAttribute('data-state', 'completed');
  await expect(visitor.page.getByTestId('saga-verdict')).toHaveText('The money went back once.');
  for (const name of ['hold_funds', 'void_tickets', 'refund', 'settle']) {
    await expect(step(visitor, name, 'do')).toHaveAttribute('data-status', 'done');
  }
  await expect(saga(visitor)).toHaveCount(1);
  await expect(visitor.page.getByText('one refund.')).toContainText('2 requests');
  for (const n of [0, 1]) {
    await expect(visitor.tickets.nth(n)).toHaveAttribute('data-status', 'void');
  }
  const mails = await visitor.receipts();
  await expect(mails).toHaveCount(2);
  await expect(mails.first()).toContainText(/refund/i);
});

test('the provider refuses: the undos run backwards, the tickets are good again, a mail says why', async ({
  visitor,
}) => {
  const { page } = visitor;
  await paid(visitor, 'Refund refused');
  await refund(visitor).click();
  await expect(saga(visitor)).toHaveAttribute('data-state', 'compensated');
  await expect(page.getByTestId('saga-verdict')).toContainText('Nothing was refunded');
  await expect(step(visitor, 'refund', 'do')).toHaveAttribute('data-status', 'failed');
  await expect(step(visitor, 'void_tickets', 'undo')).toHaveAttribute('data-status', 'done');
  await expect(step(visitor, 'hold_funds', 'undo')).toHaveAttribute('data-status', 'done');
  await expect(visitor.tickets.first()).toHaveAttribute('data-status', 'issued');
  const story = await page.evaluate(async () => {
    const { data } = (await (await fetch('/v1/ops/sagas')).json()) as {
      data: { steps: { name: string; direction: string; started_at: string }[] }[];
    };
    return data[0]?.steps
      .filter((one) => one.direction === 'undo')
      .sort((a, b) => a.started_at.localeCompare(b.started_at))
      .map((one) => one.name);
  });
  expect(story).toEqual(['void_tickets', 'hold_funds']);
  const mails = await visitor.receipts();
  await expect(mails).toHaveCount(2);
  await expect(mails.first()).toContainText(/refund/i);
});

test('a ticket that was used at the door cannot be taken back: refused before any money moves', async ({
  visitor,
}) => {
  await paid(visitor);
  await visitor.page.getByRole('button', { name: /Use at the door.*1$/ }).click();
  await expect(visitor.tickets.first()).toHaveAttribute('data-status', 'used');
  await refund(visitor).click();
  await expect(saga(visitor)).toHaveAttribute('data-state', 'compensated');
  await expect(visitor.page.getByTestId('saga-verdict')).toContainText('ticket used');
  await expect(step(visitor, 'refund', 'do')).toHaveAttribute('data-status', 'pending');
  await expect(step(visitor, 'hold_funds', 'undo')).toHaveAttribute('data-status', 'done');
});

test('part of it goes back, and the tickets stay good', async ({ visitor }) => {
  await paid(visitor);
  await visitor.page.getByLabel('Amount').fill('12.50');
  await expect(refund(visitor)).toHaveText('Refund €12.50');
  await refund(visitor).click();
  await expect(saga(visitor)).toHaveAttribute('data-state', 'completed');
  await expect(step(visitor, 'void_tickets', 'do')).toHaveAttribute('data-status', 'skipped');
  await expect(visitor.tickets.first()).toHaveAttribute('data-status', 'issued');
  await visitor.page.getByRole('button', { name: 'Another refund' }).click();
  await expect(refund(visitor)).toHaveText('Refund €71.50');
});

for (const [currency, typed, minor, shown, nonsense] of [
  ['JPY', '42', 42, '42', '42.5'],
  ['KWD', '1.5', 1_500, '1.500', '1.2345'],
] as const) {
  test(`${typed} typed for ${currency} asks for ${minor} minor units`, async ({ visitor }) => {
    const { page } = visitor;
    await paid(visitor);
    // The concert costs euros, so the answers about it are changed on their way.
    await page.route(/\/v1\/(orders|payments)\//, async (route) => {
      const answer = await route.fetch();
      const body = (await answer.text()).replaceAll('"EUR"', `"${currency}"`);
      await route.fulfill({ response: answer, body });
    });
    await page.reload();
    await page.getByLabel('Amount').fill(nonsense);
    await expect(page.locator('#refund-hint')).toContainText('An amount like');
    await page.getByLabel('Amount').fill(typed);
    await expect(refund(visitor)).toContainText(shown);
    const sent = page.waitForRequest((request) => request.url().endsWith('/v1/refunds'));
    await refund(visitor).click();
    expect((await sent).postDataJSON()).toMatchObject({ amount_minor: minor });
    await page.unrouteAll({ behavior: 'wait' }); // an answer that is read when the page closes is an error
  });
}

// The provider is away for all visitors, not only for this one.
test.describe('Operations', { tag: '@kills' }, () => {
  test.use({ failuresExpected: true });

  test.afterEach(async () => {
    await outage(false);
  });

  test('a stuck saga is sent again by a person, another is marked as resolved with a reason', async ({
    visitor,
  }) => {
    const { page } = visitor;
    await paid(visitor);
    await outage(true);
    await refund(visitor).click();
    await expect(step(visitor, 'refund', 'do')).toHaveAttribute('data-status', 'started');
    stick(await sagaId(visitor));

    await page.goto(`${run().url}/ops`);
    await expect(saga(visitor)).toHaveAttribute('data-state', 'stuck');
    await outage(false);
    await page.getByRole('button', { name: 'Send it again now' }).click();
    await expect(saga(visitor)).toHaveAttribute('data-state', 'completed');

    await visitor.open();
    await page.getByRole('button', { name: 'New checkout' }).click();
    await visitor.pay.click();
    await visitor.oneOfEverything();
    await outage(true);
    await refund(visitor).click();
    await expect(step(visitor, 'refund', 'do')).toHaveAttribute('data-status', 'started');
    stick(await sagaId(visitor));
    await page.goto(`${run().url}/ops`);
    const stuck = page.getByTestId('refund-story').filter({ hasText: 'Stuck' });
    await stuck.getByRole('button', { name: 'Mark as resolved…' }).click();
    await stuck.getByRole('radio', { name: /Everything is taken back/ }).check();
    await stuck.getByLabel(/Why/).fill('will be given back by bank transfer');
    await stuck.getByRole('button', { name: 'Mark as resolved', exact: true }).click();
    await expect(
      page.getByText(/A person marked it as taken back\. Pending: it cannot be asked/),
    ).toBeVisible();
    await outage(false);
    await expect(
      page.getByText('A person marked it as taken back: will be given back by bank transfer'),
    ).toBeVisible();
    expect(await findings(page)).toEqual([]);
  });
});

async function outage(on: boolean): Promise<void> {
  const answer = await fetch(`${run().simulator_url}/v1/behaviour`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ outage: on ? 'unavailable' : 'none' }),
  });
  expect(answer.ok).toBe(true);
}

async function sagaId(visitor: Visitor): Promise<string> {
  return visitor.page.evaluate(async () => {
    const { data } = (await (await fetch('/v1/ops/sagas')).json()) as { data: { id: string }[] };
    return data[0]?.id ?? '';
  });
}

/** What only days of silence bring about, planted by hand. */
function stick(id: string): void {
  const uuid = id.replace('saga_', '');
  execFileSync('psql', [
    run().postgres_dsn,
    '-qc',
    `UPDATE sagas SET state = 'stuck', version = version + 1 WHERE id = '${uuid}'`,
  ]);
}
