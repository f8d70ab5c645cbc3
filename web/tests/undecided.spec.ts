import type { Page } from '@playwright/test';
import { run } from './demo.ts';
import { expect, test, Visitor } from './visitor.ts';

// One wish to buy is one order and one charge, whatever changes while the first
// card is undecided. Answers of 409 and 402 are meant.
test.use({ failuresExpected: true });

/** This card stays in doubt for as long as a test lasts. */
const neverKnown = 'Always an error';

interface Paid {
  id: string;
  status: string;
}

async function payments(page: Page): Promise<Paid[]> {
  return page.evaluate(async () => {
    const { data } = (await (await fetch('/v1/payments')).json()) as { data: Paid[] };
    return data.map(({ id, status }) => ({ id, status }));
  });
}

async function liveCharges(page: Page): Promise<number> {
  let sum = 0;
  for (const { id } of await payments(page)) {
    const answer = await fetch(`${run().simulator_url}/v1/charges?reference=${id}`);
    const { data } = (await answer.json()) as { data: { status: string }[] };
    sum += data.filter(({ status }) => status === 'succeeded').length;
  }
  return sum;
}

/** Asks the shop as the page does, with a key of its own. */
async function post<T>(page: Page, path: string, body: unknown): Promise<T> {
  return page.evaluate(
    async ([path, body]) => {
      const headers = {
        'Content-Type': 'application/json',
        'Idempotency-Key': crypto.randomUUID(),
      };
      const answer = await fetch(path, { method: 'POST', headers, body });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as T;
    },
    [path, JSON.stringify(body)] as const,
  );
}

interface Order {
  id: string;
  payment: { id: string };
}

const order = (page: Page) =>
  post<Order>(page, '/v1/orders', {
    items: [{ sku: 'concert-a', quantity: 2 }],
    email: 'ada@example.org',
  });

/** What was asked for is held at a point of the shop's code, this payment's alone. */
const delay = (page: Page, point: string, payment_id: string, for_ms: number) =>
  post(page, '/v1/lab/faults', { point, action: 'delay', payment_id, for_ms });

const orderLink = (visitor: Visitor) =>
  visitor.page.getByRole('link', { name: 'second tab' }).getAttribute('href');
const question = (visitor: Visitor) => visitor.page.getByTestId('undecided');
const notKnown = /Charged\? Not known yet\./;

async function inDoubt(visitor: Visitor): Promise<void> {
  await visitor.open();
  await visitor.card(neverKnown);
  await visitor.pay.click();
  await expect(visitor.page.getByText('the charge is in doubt').first()).toBeVisible();
  await expect(visitor.verdict).toHaveText(notKnown);
}

test('another card while the first is in doubt: same order, said before the click, 1 charge', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  await visitor.card('Charged, but no answer');
  await visitor.pay.click();
  await expect(page.getByText('the charge is in doubt').first()).toBeVisible();
  const first = await orderLink(visitor);
  await visitor.card('Works');
  await expect(page.getByTestId('undecided-card')).toContainText(
    '“Charged, but no answer” is undecided',
  );
  await visitor.pay.click();
  await visitor.chargedOnce();
  await expect(page.getByText('The card chosen last was not sent.')).toBeVisible();
  expect(await orderLink(visitor)).toBe(first);
  expect(await payments(page)).toHaveLength(1);
  expect(await liveCharges(page)).toBe(1);
});

for (const [first, line, attempts] of [
  ['Works', 'The card chosen last was not sent.', 1],
  ['Declined', '', 2],
] as const) {
  test(`two tabs, two cards, one order: "${first}" is on its way, and the second is sent only if it was not charged`, async ({
    visitor,
  }) => {
    const { page } = visitor;
    await visitor.open();
    const placed = await order(page);
    await delay(page, 'capture.before_charge', placed.payment.id, 3_000);
    await visitor.open(`/?order=${placed.id}`);
    await visitor.card(first);
    const second = new Visitor(await page.context().newPage());
    await second.open(`/?order=${placed.id}`);
    await second.card('Error, then works');
    await visitor.pay.click();
    await expect.poll(async () => (await payments(page))[0]?.status).toBe('capturing');
    await second.pay.click();
    await second.chargedOnce();
    if (line !== '') await expect(second.page.getByText(line)).toBeVisible();
    const numbers = await second.page.evaluate(
      async (id) =>
        ((await (await fetch(`/v1/payments/${id}`)).json()) as { attempt_no: number }).attempt_no,
      placed.payment.id,
    );
    expect(numbers).toBe(attempts);
    expect(await payments(page)).toHaveLength(1);
    expect(await liveCharges(page)).toBe(1);
  });
}

const changes: Record<string, (visitor: Visitor) => Promise<Visitor>> = {
  'another quantity': async (visitor) => {
    await visitor.page.getByRole('button', { name: 'One ticket less' }).click();
    return visitor;
  },
  'another address': async (visitor) => {
    await visitor.page.getByLabel('Receipt to').fill('bob@example.org');
    await visitor.page.getByLabel('Receipt to').press('Tab');
    return visitor;
  },
  'a new checkout': async (visitor) => {
    await visitor.page.getByRole('button', { name: 'New checkout' }).click();
    return visitor;
  },
  'another quantity and a reload': async (visitor) => {
    await visitor.page.getByRole('button', { name: 'One ticket less' }).click();
    await visitor.page.reload();
    return visitor;
  },
  'a new tab': async (visitor) => {
    const other = new Visitor(await visitor.page.context().newPage());
    await other.open();
    return other;
  },
};

for (const [name, change] of Object.entries(changes)) {
  test(`${name} while a payment is in doubt: asked before anything is sent, and only "Pay both" is a second payment`, async ({
    visitor,
  }) => {
    await inDoubt(visitor);
    const first = await orderLink(visitor);
    const next = await change(visitor);
    await expect(question(next)).toContainText('is undecided');
    await next.card('Works');
    await next.pay.dblclick();
    await expect(question(next)).toHaveRole('alert');
    expect(await payments(next.page)).toHaveLength(1);

    await next.page.getByTestId('finish').click();
    await expect(next.verdict).toHaveText(notKnown);
    await expect(next.page.locator('.line')).toHaveText(
      'The shop asks the provider until it knows. No click is needed for that.',
    );
    expect(await orderLink(next)).toBe(first);
    await expect(question(next)).toHaveCount(0);

    await next.page.getByRole('button', { name: 'One ticket more' }).click();
    await next.pay.click();
    await expect(question(next)).toHaveRole('alert');
    expect(await payments(next.page)).toHaveLength(1);
    await next.page.getByTestId('pay-both').click();
    await next.chargedOnce();
    await expect(question(next)).toHaveCount(0);
    expect(await payments(next.page)).toHaveLength(2);
    expect(await liveCharges(next.page)).toBe(1);
  });
}

test('a capture that was on its way when the quantity changed is asked about, not forgotten', async ({
  visitor,
}) => {
  const { page } = visitor;
  await visitor.open();
  let sent = false;
  await page.route('**/capture', () => void (sent = true)); // it never arrives
  await visitor.pay.click();
  await expect.poll(() => sent).toBe(true);
  await page.getByRole('button', { name: 'One ticket less' }).click();
  await visitor.pay.click();
  await expect(question(visitor)).toHaveRole('alert');
  await page.unroute('**/capture');
  await page.getByTestId('finish').click();
  await expect(question(visitor)).toHaveCount(0);
  await visitor.pay.click();
  await visitor.chargedOnce();
  expect(await payments(page)).toHaveLength(1);
});

test('a decline is kept with its key; the next click is a new attempt with a new one', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.card('Declined');
  const key = visitor.page.getByText(/^key …/);
  const first = (await key.textContent()) ?? '';
  await visitor.pay.click();
  await expect(visitor.verdict).toContainText('Declined: insufficient funds.');
  await expect(key).not.toHaveText(first);
  await visitor.pay.click();
  await expect(visitor.attempts).toHaveCount(2);
  expect(await visitor.fates()).toEqual(['executed', 'executed']);
});

test('a refund refused beside one that holds everything: once that one has failed, the next click is accepted', async ({
  visitor,
}) => {
  const { page } = visitor;
  const asked: { status: number; key: string }[] = [];
  page.on('response', (answer) => {
    const request = answer.request();
    if (request.method() !== 'POST' || !answer.url().endsWith('/v1/refunds')) return;
    asked.push({ status: answer.status(), key: request.headers()['idempotency-key'] ?? '' });
  });
  await visitor.open();
  await visitor.card('Refund refused');
  await visitor.pay.click();
  await visitor.chargedOnce();
  const [paid] = await payments(page);
  if (paid === undefined) throw new Error('no payment');
  await delay(page, 'around.after_intent', paid.id, 4_000);
  await post(page, '/v1/refunds', { payment_id: paid.id, reason: 'first' });
  const refund = page.getByTestId('refund');
  await refund.click();
  await expect(page.getByTestId('refunds').getByRole('alert')).toContainText(
    'ask with a new Idempotency-Key',
  );
  await expect(page.getByTestId('saga')).toHaveAttribute('data-state', 'compensated');
  await refund.click();
  await expect(page.getByTestId('saga')).toHaveCount(2);
  const mine = asked.slice(1);
  expect(mine.map(({ status }) => status)).toEqual([422, 202]);
  expect(mine[0]?.key).not.toBe(mine[1]?.key);

  // That one fails too, and its key is not offered again either.
  await expect(page.getByTestId('saga').first()).toHaveAttribute('data-state', 'compensated');
  await expect(refund).toHaveText(/^Refund €/);
});
