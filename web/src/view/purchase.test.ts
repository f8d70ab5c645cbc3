import { beforeEach, expect, test, vi } from 'vitest';
import { load } from '../model/checkout';
import { Purchase } from './purchase.svelte';
import { tabStorage } from './storage.svelte';

const shop = vi.hoisted(() => ({
  undecided: vi.fn(),
  placeOrder: vi.fn(),
  capture: vi.fn(),
  payment: vi.fn(),
  order: vi.fn(),
}));
vi.mock('../api/client', () => ({ shop }));

const headers = new Headers();
const ok = (body: unknown, status = 200) => ({ kind: 'ok', status, body, headers });
const payment = (id: string, status: string) => ({
  id,
  order_id: `ord_${id}`,
  status,
  amount_minor: 8400,
  currency: 'EUR',
  created_at: '2026-11-23T20:15:42.317Z',
});
const notify = { opened: () => {}, placed: () => {}, settled: () => {}, said: () => true };

beforeEach(() => {
  for (const f of Object.values(shop)) f.mockReset();
  shop.undecided.mockResolvedValue(ok({ data: [] }));
});

test('what is typed is kept as long as there is no order, and opens no other checkout after it', async () => {
  const purchase = new Purchase(notify);
  purchase.type({ email: 'ada@example.org' });
  expect(purchase.checkout.email).toBe('ada@example.org');
  shop.placeOrder.mockResolvedValue(
    ok({ id: 'ord_1', payment: payment('pay_1', 'requires_capture') }, 201),
  );
  shop.capture.mockResolvedValue(ok(payment('pay_1', 'captured')));
  await purchase.pay();
  const { orderKey } = purchase.checkout;
  purchase.type({ email: 'b' });
  expect([purchase.checkout.orderKey, purchase.checkout.email]).toEqual([
    orderKey,
    'ada@example.org',
  ]);
});

test.each([
  ['captured', true],
  ['declined', false],
])(
  'a payment that was left undecided and is %s by the next Pay: asked about is %s',
  async (status, asked) => {
    let orders = 0;
    shop.placeOrder.mockImplementation(() => {
      const id = `pay_${++orders}`;
      return Promise.resolve(
        ok({ id: `ord_${id}`, payment: payment(id, 'requires_capture') }, 201),
      );
    });
    shop.capture.mockImplementationOnce(() => new Promise(() => {})); // never heard of
    shop.capture.mockResolvedValue(ok(payment('pay_2', 'captured')));
    const purchase = new Purchase(notify);
    void purchase.pay();
    await vi.waitFor(() => expect(shop.capture).toHaveBeenCalledTimes(1));
    purchase.choose({ quantity: 1 });
    shop.payment.mockResolvedValue(ok(payment('pay_1', status)));

    await purchase.pay();
    expect(purchase.asked).toBe(asked);
    expect(orders).toBe(asked ? 1 : 2);
    if (!asked) return;
    expect(purchase.beside.map(({ id }) => id)).toEqual(['pay_1']);
    await purchase.pay(); // asked again, not forgotten
    expect(orders).toBe(1);
    await purchase.payBoth();
    expect(orders).toBe(2);
    expect(purchase.beside).toEqual([]);
  },
);

test.each([
  ['before the page has said so', false, 1],
  ['when the page has said so', true, 2],
])('another card after the charge, %s', async (_, said, orders) => {
  let placed = 0;
  shop.placeOrder.mockImplementation(() => {
    const id = `pay_${++placed}`;
    return Promise.resolve(ok({ id: `ord_${id}`, payment: payment(id, 'requires_capture') }, 201));
  });
  shop.capture.mockResolvedValue(ok(payment('pay_1', 'captured')));
  shop.payment.mockResolvedValue(ok(payment('pay_1', 'captured')));
  const purchase = new Purchase({ ...notify, said: () => said });
  await purchase.pay();
  purchase.know(payment('pay_1', 'captured') as never);
  purchase.chooseCard('tok_declined');
  await purchase.pay();
  expect(purchase.asked).toBe(!said);
  expect(purchase.beside.map(({ id }) => id)).toEqual(said ? [] : ['pay_1']);
  expect(placed).toBe(orders);
});

test.each([
  ['said it before it was opened again', true, false],
  ['has not said it', false, true],
])('a new checkout after a charge, at once, on a page that %s', async (_, said, asked) => {
  const paid = payment('pay_1', 'captured');
  const order = { id: 'ord_1', payment: paid };
  shop.order.mockResolvedValue(ok(order));
  shop.payment.mockResolvedValue(ok(paid));
  shop.placeOrder.mockResolvedValue(
    ok({ id: 'ord_2', payment: payment('pay_2', 'requires_capture') }, 201),
  );
  shop.capture.mockResolvedValue(ok(payment('pay_2', 'captured')));
  const before = new Purchase(notify);
  await before.resume({ ...before.checkout, orderId: 'ord_1', clicks: 1 });
  if (said) before.saying();
  const opened = new Purchase({ ...notify, said: () => false }); // nothing is drawn yet
  await opened.resume(load(tabStorage) ?? before.checkout);
  opened.open();
  await opened.pay();
  expect(opened.asked).toBe(asked);
});

test('a payment that the page shows as undecided and that is captured by the next Pay is asked about', async () => {
  const purchase = new Purchase(notify);
  shop.undecided.mockResolvedValueOnce(ok({ data: [payment('pay_0', 'in_doubt')] }));
  await purchase.lookBeside();
  expect(purchase.beside.map(({ id }) => id)).toEqual(['pay_0']);
  shop.payment.mockResolvedValue(ok(payment('pay_0', 'captured')));
  await purchase.pay();
  expect(purchase.asked).toBe(true);
  expect(shop.placeOrder).not.toHaveBeenCalled();
});

test('a payment whose capture is still on its way stays asked about when the page looks by itself', async () => {
  shop.placeOrder.mockResolvedValue(
    ok({ id: 'ord_1', payment: payment('pay_1', 'requires_capture') }, 201),
  );
  shop.capture.mockImplementation(() => new Promise(() => {})); // never heard of
  shop.payment.mockResolvedValue(ok(payment('pay_1', 'requires_capture')));
  const purchase = new Purchase(notify);
  void purchase.pay();
  await vi.waitFor(() => expect(shop.capture).toHaveBeenCalledTimes(1));
  purchase.choose({ quantity: 1 });
  await purchase.pay();
  expect(purchase.asked).toBe(true);
  await purchase.lookBeside(); // the shop lists what it knows to be undecided, and that is nothing
  expect(purchase.asked).toBe(true);
  expect(purchase.beside.map(({ id }) => id)).toEqual(['pay_1']);
});
