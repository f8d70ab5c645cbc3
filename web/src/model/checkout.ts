/** What the visitor decides; everything is filled in, so the first click needs no typing. */
export interface Choice {
  sku: string;
  quantity: number;
  email: string;
  card: string;
}

export const firstChoice: Choice = { sku: '', quantity: 2, email: '', card: 'tok_ok' };

/** What a checkout is before, while and after it is sent. Kept in the tab. */
export interface Checkout extends Choice {
  /** The key of placing the order: one per checkout. */
  orderKey: string;
  /** K, the key of the capture: one per intent to pay. */
  captureKey: string;
  orderId: string | null;
  /** Clicks of this tab and whether a gateway clicked too: words only, never counts. */
  clicks: number;
  gateway: boolean;
}

export type KeySource = () => string;

/** A key of 36 visible characters. randomUUID is missing on plain HTTP, getRandomValues is not. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

export const suffix = (key: string): string => key.slice(-4);

export function choiceOf({ sku, quantity, email, card }: Choice): Choice {
  return { sku, quantity, email, card };
}

export function open(choice: Choice, key: KeySource = randomKey): Checkout {
  return {
    ...choiceOf(choice),
    orderKey: key(),
    captureKey: key(),
    orderId: null,
    clicks: 0,
    gateway: false,
  };
}

/** The same order seen from another tab: an intent, and so a key, of its own. */
export function join(checkout: Checkout, orderId: string, key: KeySource = randomKey): Checkout {
  return { ...checkout, orderId, captureKey: key(), clicks: 0, gateway: false };
}

/**
 * What choosing another card means. Before the first click: nothing. After a
 * decline it is a new intent for the same order, so a new key. After anything
 * else it is a new purchase, so a new checkout.
 */
export function changeCard(
  checkout: Checkout,
  card: string,
  status: string | null,
  key: KeySource = randomKey,
): Checkout {
  if (status === 'declined') return { ...checkout, card, captureKey: key() };
  if (checkout.clicks === 0 && !checkout.gateway) return { ...checkout, card };
  return open({ ...choiceOf(checkout), card }, key);
}

export interface Store {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
}

const name = 'payonce.checkout';

/** Written before anything is sent: after a reload the same intent has the same key. */
export function save(store: Store, checkout: Checkout): void {
  store.setItem(name, JSON.stringify(checkout));
}

export function load(store: Store): Checkout | null {
  try {
    const kept = JSON.parse(store.getItem(name) ?? 'null') as Checkout | null;
    return kept !== null && typeof kept.captureKey === 'string' ? kept : null;
  } catch {
    return null;
  }
}

/** An address that belongs to this visitor alone; the demo's mailbox takes any. */
export function visitorAddress(key: KeySource = randomKey): string {
  return `visitor-${key().slice(0, 8)}@example.org`;
}
