import { randomKey, type KeySource, type Store } from './checkout';

/** One wish to get money back. Its key is kept before anything is sent, like a checkout's. */
export interface RefundIntent {
  key: string;
  /** Null means what is left of the payment. */
  amount: number | null;
  reason: string;
  clicks: number;
  /** The refund that the key stands for, once the shop has said so. */
  refundId: string | null;
}

export const firstReason = 'changed my mind';

export function openIntent(key: KeySource = randomKey): RefundIntent {
  return { key: key(), amount: null, reason: firstReason, clicks: 0, refundId: null };
}

/** Another amount or reason is another wish once something was sent. */
export function changeIntent(
  intent: RefundIntent,
  change: Partial<Pick<RefundIntent, 'amount' | 'reason'>>,
  key: KeySource = randomKey,
): RefundIntent {
  const next = { ...intent, ...change };
  return intent.clicks === 0 ? next : { ...next, key: key(), clicks: 0, refundId: null };
}

/** What was refused keeps its key; the same wish, said again, is another one. */
export function renewIntent(
  intent: RefundIntent,
  refused: string,
  key: KeySource = randomKey,
): RefundIntent {
  if (intent.key !== refused) return intent;
  return { ...intent, key: key(), clicks: 0, refundId: null };
}

const name = (paymentId: string) => `payonce.refund.${paymentId}`;

export function saveIntent(store: Store, paymentId: string, intent: RefundIntent): void {
  store.setItem(name(paymentId), JSON.stringify(intent));
}

export function loadIntent(store: Store, paymentId: string): RefundIntent | null {
  try {
    const kept = JSON.parse(store.getItem(name(paymentId)) ?? 'null') as RefundIntent | null;
    return kept !== null && typeof kept.key === 'string' ? kept : null;
  } catch {
    return null;
  }
}
