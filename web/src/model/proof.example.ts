import type { Proof } from '../api/shapes';

/** A proof as tests need it: 2 attempts, 1 charge, everything there. */
export const proof = (change: Partial<Proof> = {}): Proof => ({
  payment_id: 'pay_1',
  attempts: { executed: 1, replayed: 1 },
  absorbed: { key: 1, business_key: 0, inbox: 0, provider: 0 },
  broker_deliveries: 3,
  effects: { charges: 1, mails: 1, tickets: 2, ledger_transactions: 1 },
  expected: { charges: 1, mails: 1, tickets: 2, ledger_transactions: 1 },
  counted_by: { charges: 'provider', mails: 'mailbox' },
  complete: true,
  ...change,
});
