import { expect, test } from './visitor.ts';

test.use({ failuresExpected: true });

test('a declined card is 0 charges, and another card then pays the same order with a new key', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.card('Declined');
  await visitor.pay.dblclick();
  await expect(visitor.verdict).toHaveText(
    'You clicked 2 times. Declined: insufficient funds. You were not charged.',
  );
  await expect(visitor.effects).toHaveAttribute('data-charges', '0');
  const order = await visitor.page.getByRole('link', { name: 'second tab' }).getAttribute('href');

  await visitor.card('Works');
  await visitor.pay.click();
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
  expect(await visitor.page.getByRole('link', { name: 'second tab' }).getAttribute('href')).toBe(
    order,
  );
});

test('charged, but no answer: in doubt at first, then 1 charge without a click', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.card('Charged, but no answer');
  await visitor.pay.click();
  await expect(visitor.page.getByText('the charge is in doubt').first()).toBeVisible();
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
});

test('a slow card: 3 clicks wait for one another and are 1 charge', async ({ visitor }) => {
  await visitor.open();
  await visitor.card('Slow');
  // As fast as a hand: what is looked for lasts two seconds.
  await visitor.pay.click({ clickCount: 3 });
  await expect(visitor.page.getByText('3 clicks under way, all with the same key.')).toBeVisible();
  await expect(visitor.verdict).toHaveText('You clicked 3 times. You were charged once.');
  expect((await visitor.fates()).sort()).toEqual(['executed', 'waited', 'waited']);
});

for (const card of ['Error, then works', 'Busy, then works', 'No answer, no charge']) {
  test(`the card "${card}" ends with 1 charge`, async ({ visitor }) => {
    await visitor.open();
    await visitor.card(card);
    await visitor.pay.click();
    await visitor.chargedOnce();
    await visitor.oneOfEverything();
  });
}

test('another quantity opens another checkout: 3 tickets for €126.00', async ({ visitor }) => {
  await visitor.open();
  await visitor.pay.click();
  await visitor.chargedOnce();
  await visitor.page.getByRole('button', { name: 'One ticket more' }).click();
  await expect(visitor.attempts).toHaveCount(0);
  await expect(visitor.pay).toHaveText('Pay €126.00');
  await visitor.pay.click();
  await visitor.chargedOnce();
  await expect(visitor.tickets).toHaveCount(3);
});
