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
  /** The latest capture that was asked for with K, and with which card. */
  sent: Sent | null;
  /** The page has said that it was charged. */
  said: boolean;
  /** Payments whose outcome was not known when the visitor chose to pay beside them. */
  beside: string[];
}

export interface Sent {
  key: string;
  card: string;
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
    sent: null,
    said: false,
    beside: [],
  };
}

/** The same order seen from another tab: an intent, and so a key, of its own. */
export function join(checkout: Checkout, orderId: string, key: KeySource = randomKey): Checkout {
  return { ...open(choiceOf(checkout), key), orderKey: checkout.orderKey, orderId };
}

const paidStates = ['captured', 'partially_refunded', 'refunded'];

export const paid = (status: string | null): boolean => paidStates.includes(status ?? '');

/** It may have been charged or not; the shop is finding out. */
export const undecided = (status: string | null): boolean =>
  status === 'capturing' || status === 'in_doubt';

/**
 * What choosing another card means. Before the first click: nothing. After the
 * charge it is a new purchase, so a new checkout. In between it is a new intent
 * for the same order, so a new key: one order is paid once, whatever its cards.
 */
export function changeCard(
  checkout: Checkout,
  card: string,
  status: string | null,
  key: KeySource = randomKey,
): Checkout {
  const touched = checkout.clicks > 0 || checkout.gateway;
  if (touched && paid(status)) return open({ ...choiceOf(checkout), card }, key);
  const next = { ...checkout, card };
  return touched || checkout.sent !== null ? renewCapture(next, checkout.captureKey, key) : next;
}

/** A refusal is stored under its key: the next click is another intent. */
export function renewCapture(
  checkout: Checkout,
  refused: string,
  key: KeySource = randomKey,
): Checkout {
  return checkout.captureKey === refused ? { ...checkout, captureKey: key() } : checkout;
}

/** The same for the order, as long as there is none. */
export function renewOrder(
  checkout: Checkout,
  refused: string,
  key: KeySource = randomKey,
): Checkout {
  const unplaced = checkout.orderId === null && checkout.orderKey === refused;
  return unplaced ? { ...checkout, orderKey: key() } : checkout;
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
    if (kept === null || typeof kept.captureKey !== 'string') return null;
    return {
      ...kept,
      sent: kept.sent ?? null,
      said: kept.said ?? false,
      beside: kept.beside ?? [],
    };
  } catch {
    return null;
  }
}

/** An address that belongs to this visitor alone; the demo's mailbox takes any. */
export function visitorAddress(key: KeySource = randomKey): string {
  return `visitor-${key().slice(0, 8)}@example.org`;
}
