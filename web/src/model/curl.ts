import type { Payment } from '../api/shapes';
import { open, randomKey, type Checkout } from './checkout';

/** A command for whoever doubts what the page says: it asks the shop without the page. */
export function proofCommand(origin: string, paymentId: string, apiKey: string): string {
  return `curl -s -H 'Authorization: Bearer ${apiKey}' ${origin}/v1/payments/${paymentId}/proof`;
}

/** And one that asks the card provider instead of the shop. */
export function providerCommand(mailboxUrl: string, paymentId: string): string {
  const url = new URL('/v1/charges', mailboxUrl);
  url.searchParams.set('reference', paymentId);
  return `curl -s '${url.href}'`;
}

export interface Snippet {
  title: string;
  says: string;
  command: string;
}

/** Bash keeps everything between single quotes; a quote itself ends and reopens them. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function post(url: string, key: string, idempotencyKey: string, body: unknown): string {
  return [
    `curl -i -X POST ${quoted(url)}`,
    `-H ${quoted(`Authorization: Bearer ${key}`)}`,
    `-H ${quoted('Content-Type: application/json')}`,
    `-H ${quoted(`Idempotency-Key: ${idempotencyKey}`)}`,
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(' \\\n  ');
}

const get = (url: string, key: string): string =>
  `curl -s ${quoted(url)} \\\n  -H ${quoted(`Authorization: Bearer ${key}`)}`;

/** What so many tickets cost: of the order where there is one, else of the concert on sale. */
export type Price = (quantity: number) => Pick<Payment, 'amount_minor' | 'currency'>;

/**
 * The whole story as commands to paste: with the keys of the open checkout where
 * there is one, so that the terminal's requests are twins of the page's.
 */
export function currentFlow(
  origin: string,
  key: string,
  email: string,
  checkout: Checkout | null,
  price: Price,
  fresh: () => string = randomKey,
): Snippet[] {
  const c = checkout ?? open({ sku: 'concert-a', quantity: 2, email, card: 'tok_ok' }, fresh);
  const items = [{ sku: c.sku === '' ? 'concert-a' : c.sku, quantity: c.quantity }];
  const order = { items, email: c.email === '' ? email : c.email };
  const capture = { ...price(c.quantity), card_token: c.card };
  return [
    {
      title: 'Place the order',
      says: 'Twice with one key is one order. Put its payment.id into PAYMENT for what follows.',
      command: post(`${origin}/v1/orders`, key, c.orderKey, order),
    },
    {
      title: 'Pay',
      says: 'Run it as often as you like: the second answer says Idempotent-Replayed: true.',
      command: post(`${origin}/v1/payments/PAYMENT/capture`, key, c.captureKey, capture),
    },
    {
      title: 'Pay with another key',
      says: 'A client that makes a fresh key for every retry: Payonce-Matched: business-key.',
      command: post(`${origin}/v1/payments/PAYMENT/capture`, key, fresh(), capture),
    },
    {
      title: 'Count what came of it',
      says: 'Charges and mails are counted by the provider and by the mailbox.',
      command: get(`${origin}/v1/payments/PAYMENT/proof`, key),
    },
    {
      title: 'Give it back',
      says: 'Starts the saga; Location tells where to watch it.',
      command: post(`${origin}/v1/refunds`, key, fresh(), {
        payment_id: 'PAYMENT',
        reason: 'changed my mind',
      }),
    },
    {
      title: 'Watch',
      says: 'The live stream of this sandbox; Last-Event-ID resumes it.',
      command: `curl -N ${quoted(`${origin}/v1/stream`)} \\\n  -H ${quoted(`Authorization: Bearer ${key}`)}`,
    },
  ];
}
