/** The test cards of the simulated provider, in the words of the page. */
export interface Card {
  token: string;
  label: string;
  hint: string;
  first: boolean;
}

export const cards: Card[] = [
  { token: 'tok_ok', label: 'Works', hint: 'The provider charges at once.', first: true },
  {
    token: 'tok_declined',
    label: 'Declined',
    hint: 'The provider says no: insufficient funds.',
    first: true,
  },
  { token: 'tok_slow', label: 'Slow', hint: 'The provider takes two seconds.', first: true },
  {
    token: 'tok_timeout_after',
    label: 'Charged, but no answer',
    hint: 'The provider takes the money, then the line goes dead.',
    first: true,
  },
  {
    token: 'tok_500_then_ok',
    label: 'Error, then works',
    hint: 'The first try gets a 500.',
    first: false,
  },
  {
    token: 'tok_429_then_ok',
    label: 'Busy, then works',
    hint: 'The first try gets a 429.',
    first: false,
  },
  {
    token: 'tok_500_always',
    label: 'Always an error',
    hint: 'Every try gets a 500.',
    first: false,
  },
  {
    token: 'tok_timeout_before',
    label: 'No answer, no charge',
    hint: 'The line goes dead before the provider does anything.',
    first: false,
  },
  {
    token: 'tok_webhook_first',
    label: 'Webhook overtakes the answer',
    hint: 'The signed message arrives before the answer does.',
    first: false,
  },
  {
    token: 'tok_webhook_late',
    label: 'Only a late webhook',
    hint: 'The answer is lost; a signed message comes after five seconds.',
    first: false,
  },
  {
    token: 'tok_webhook_storm',
    label: 'Webhook storm',
    hint: 'Each signed message comes five times, out of order.',
    first: false,
  },
  {
    token: 'tok_refund_declined',
    label: 'Refund refused',
    hint: 'Works, and later refuses to take money back.',
    first: false,
  },
  {
    token: 'tok_refund_timeout_after',
    label: 'Refund without an answer',
    hint: 'Works; a refund is carried out, and its answer is lost.',
    first: false,
  },
];
