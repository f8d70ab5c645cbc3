import type { Activity } from '../api/shapes';
import { inTime } from './order';
import { inRecovery } from './script';

/** One line of a payment's story, in words of a person who answers the phone. */
export interface Line {
  id: string;
  at: string;
  who: string;
  text: string;
  /** The text is a sentence of its own; otherwise who said it is its subject. */
  whole: boolean;
  tone: 'did' | 'absorbed' | 'refused' | 'open' | 'plain';
  trace: string | null;
}

const names: Record<string, string> = {
  ledger: 'The ledger',
  email: 'E-mail',
  tickets: 'The tickets',
  saga: 'The refund’s saga',
  provider: 'The provider’s part',
  checkout: 'The checkout',
  journal: 'The journal',
  relay: 'The relay',
  postgres: 'The database',
  api: 'The API',
  browser: 'The browser',
  gateway: 'The gateway',
  rabbitmq: 'RabbitMQ',
};

export const nameOf = (node: string): string => names[node] ?? node;

const asked: Record<string, string> = {
  order: 'to place the order',
  capture: 'to pay',
  refund: 'to refund',
  webhook: 'to hear the provider',
};

/** What was said about this payment, one line for each stored event. */
export function tellStory(events: readonly Activity[]): Line[] {
  // Each process writes its journal in batches of its own; their times put them in order.
  return inTime(events).map(tellEvent);
}

export function tellEvent(event: Activity): Line {
  const said = words(event);
  return {
    id: event.id,
    at: event.at,
    who: nameOf(event.node),
    whole: /^\p{Lu}|^“/u.test(said.text),
    trace: event.trace_id ?? null,
    ...said,
  };
}

function words(event: Activity): Pick<Line, 'text' | 'tone'> {
  const key = event.key_suffix === undefined ? '' : ` (key …${event.key_suffix})`;
  const type = event.type ?? 'the event';
  const doubt = event.detail === 'in_doubt';
  switch (event.kind) {
    case 'attempt.received':
      return event.operation === 'webhook'
        ? { tone: 'plain', text: 'A signed message of the provider arrived.' }
        : { tone: 'plain', text: `A request ${want(event)} arrived${key}.` };
    case 'interrupted':
      return {
        tone: 'refused',
        text: `A request ${want(event)}${key} had begun${attempt(event)}; its process ended before it wrote down what came of it.`,
      };
    case 'claimed':
      return inRecovery(event)
        ? {
            tone: 'did',
            text: `Another took over attempt ${event.attempt ?? 1}, which had no holder any more.`,
          }
        : { tone: 'did', text: `It was the first of its kind and was let in${attempt(event)}.` };
    case 'recovered':
      return { tone: 'did', text: 'The request that finished it got the answer.' };
    case 'waited':
      return doubt
        ? { tone: 'open', text: 'Whoever asked was answered 202: not known yet, ask again.' }
        : { tone: 'absorbed', text: 'A twin waited for the first one and got the same answer.' };
    case 'replayed':
      return { tone: 'absorbed', text: 'A repeated request got the stored answer, unchanged.' };
    case 'matched':
      return {
        tone: 'absorbed',
        text: 'A request with another key was recognised by the payment itself and changed nothing.',
      };
    case 'rejected':
      return { tone: 'refused', text: `A request ${want(event)} was refused${why(event)}.` };
    case 'charge.sent':
      return {
        tone: 'plain',
        text: inRecovery(event)
          ? 'The provider was asked what had become of the charge.'
          : `The provider was asked to charge the card${attempt(event)}.`,
      };
    case 'charge.answered':
      return event.detail === 'no answer'
        ? {
            tone: 'open',
            text: 'No answer came back: it was unknown whether the card was charged.',
          }
        : { tone: 'plain', text: `The provider answered${why(event)}.` };
    case 'committed':
      return { tone: doubt ? 'open' : 'did', text: committed(event, doubt) };
    case 'published':
      return { tone: 'plain', text: `“${type}” was handed to RabbitMQ, which confirmed it.` };
    case 'returned':
      return { tone: 'open', text: `RabbitMQ gave “${type}” back; it stays in the outbox.` };
    case 'delivered':
      return { tone: 'plain', text: `got “${type}”${again(event)}.` };
    case 'absorbed':
      return { tone: 'absorbed', text: `knew “${type}” already and did nothing twice.` };
    case 'applied':
      return { tone: 'did', text: `did its part for “${type}”.` };
    case 'mail.sent':
      return { tone: 'did', text: `handed ${mailOf(event.detail)} to the mail server.` };
    case 'retried':
      return { tone: 'open', text: `could not apply “${type}” yet and will try again.` };
    case 'dead':
      return {
        tone: 'refused',
        text: `could not apply “${type}”${why(event)}; it waits for a person.`,
      };
    default:
      return { tone: 'plain', text: event.kind };
  }
}

function committed(event: Activity, doubt: boolean): string {
  if (doubt) return 'The doubt was written down before anybody was answered.';
  switch (event.operation) {
    case 'order':
      return 'The order and its payment were stored.';
    case 'refund':
      return 'The refund was accepted, and its amount reserved.';
    case 'webhook':
      return 'Its receipt and its event were stored together, before it was answered.';
    case 'resolve':
      return `A person decided${why(event)}.`;
    default:
      return `The outcome${why(event)}, the exact answer and the event were stored together.`;
  }
}

const mails: Record<string, string> = {
  receipt: 'the receipt',
  declined: 'the notice of the decline',
  refunded: 'the notice of the refund',
  refund_failed: 'the notice that explains why nothing was refunded',
};

const mailOf = (template = ''): string => mails[template] ?? 'a mail';

const want = (event: Activity): string => asked[event.operation ?? 'capture'] ?? '';

const attempt = (event: Activity): string =>
  event.attempt === undefined || event.attempt === 0 ? '' : ` as attempt ${event.attempt}`;

const again = (event: Activity): string =>
  (event.attempt ?? 1) > 1 ? ` again, delivery ${event.attempt ?? 2}` : '';

function why(event: Activity): string {
  if (event.detail === undefined || event.detail === '') return '';
  const plain = event.detail.replaceAll('_', ' ');
  return event.kind === 'dead' || event.kind === 'rejected' ? ` (${plain})` : `: ${plain}`;
}
