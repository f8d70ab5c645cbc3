import type { Activity } from '../api/shapes';
import { suffix } from './checkout';
import { consumers, type Node, type Place } from './place';

export type Style = 'solid' | 'hollow';
export type Origin = 'browser' | 'gateway';

/**
 * How one stored event is drawn. A lane is something that can be in one place
 * only: one attempt, the payment's own work, or one consumer. An event waits
 * until all lanes it needs are still, and keeps those it holds busy.
 */
export interface Script {
  route: Place[];
  style: Style;
  needs: string[];
  lane: string;
  label: string;
  caption: string;
  /** What lights up where the token arrives. */
  flash: Place | null;
  /** How long a token may rest at its end when no further event comes. */
  rest: number;
}

const waitLimit = 6_000;
const shortRest = 1_400;

/** A capture whose charge nobody can vouch for: an answer of its own, not a twin's. */
export const inDoubt = (event: Activity): boolean => event.detail === 'in_doubt';

/**
 * True for what the X-ray shows of a payment: its capture and what that set off.
 * Placing the order is journalled too, and is another story.
 */
export function ofCapture(event: Activity): boolean {
  const capture = event.operation === undefined || event.operation === 'capture';
  return capture && (event.type === undefined || event.type.startsWith('payment.'));
}

/** Null for events that move nothing (a process came up, a node this page does not draw). */
export function script(event: Activity, origin: Origin): Script | null {
  const main = `work:${event.payment_id ?? ''}`;
  const attempt = `try:${event.trace_id ?? event.attempt ?? event.id}`;
  const label = labelOf(event);
  const key = event.key_suffix ? `key …${event.key_suffix}` : 'a key';
  const which = event.attempt ? `Attempt ${event.attempt}` : 'An attempt';
  const base = { style: 'solid' as Style, label, flash: null, rest: shortRest };
  const work = (route: Place[], caption: string, flash: Place | null = null): Script => ({
    ...base,
    route,
    caption,
    flash,
    lane: main,
    needs: [main],
  });
  const back = (caption: string): Script => ({
    ...base,
    route: ['gate', 'tray', origin],
    style: 'hollow',
    caption,
    lane: attempt,
    needs: [attempt, main],
    flash: 'tray',
    rest: 0,
  });

  switch (event.kind) {
    case 'attempt.received':
      return {
        ...base,
        route: [origin, 'gate'],
        caption: `${which} reaches the API with ${key}.`,
        lane: attempt,
        needs: [attempt],
        rest: waitLimit,
      };
    case 'claimed':
      return {
        ...work(['gate', 'api'], `${which} is the first with its key: it passes.`, 'gate'),
        needs: [attempt, main],
      };
    case 'charge.sent':
      return work(['api', 'provider'], 'The API asks the provider for one charge.');
    case 'charge.answered':
      return event.detail === 'no answer'
        ? work(['provider'], 'No answer comes back. Was it charged? Nobody knows yet.')
        : work(['provider', 'api'], 'The provider answers.', 'provider');
    case 'committed':
      if (event.node === 'postgres' || event.node === 'api') {
        const doubt = 'The doubt is committed, before anybody is answered.';
        const together = 'Payment, answer and outbox event commit together.';
        return work(['api', 'postgres'], inDoubt(event) ? doubt : together, 'postgres');
      }
      return null;
    case 'published':
      return work(
        ['postgres', 'relay', 'rabbitmq'],
        'The relay publishes the event; RabbitMQ confirms.',
        'rabbitmq',
      );
    case 'returned':
      return work(['rabbitmq', 'relay'], 'RabbitMQ gave the event back; it stays in the outbox.');
    case 'replayed':
      return back(`${which} gets the stored answer, byte for byte.`);
    case 'waited':
      return inDoubt(event)
        ? { ...back(`${which} is told: not known yet, ask again.`), route: ['gate', origin] }
        : back(`${which} waited for its twin and gets the same answer.`);
    case 'matched':
      return back(`${which} came with another key; the payment itself matched it.`);
    case 'rejected':
      return { ...back(`${which} is refused and changes nothing.`), route: ['gate', origin] };
    default:
      return consumerScript(event, label, main);
  }
}

function consumerScript(event: Activity, label: string, main: string): Script | null {
  const node = consumers.find((name) => name === event.node);
  if (node === undefined) return null;
  const here = { label, lane: node, style: 'solid' as Style, rest: shortRest, flash: null };
  const who = consumerWords[node] ?? node;
  switch (event.kind) {
    case 'delivered':
      return {
        ...here,
        route: ['rabbitmq', node],
        needs: [main, node],
        caption: `RabbitMQ delivers the event to ${who}.`,
      };
    case 'applied':
    case 'mail.sent':
      return {
        ...here,
        route: [node],
        needs: [node],
        flash: node,
        rest: 300,
        caption: appliedWords(node, event.kind),
      };
    case 'absorbed':
      return {
        ...here,
        route: [node],
        style: 'hollow',
        needs: [node],
        rest: 900,
        caption: `${capital(who)} has seen this event: its inbox absorbs it.`,
      };
    case 'retried':
      return {
        ...here,
        route: [node, 'rabbitmq'],
        needs: [node],
        caption: `${capital(who)} will try again.`,
      };
    default:
      return null;
  }
}

const consumerWords: Partial<Record<Node, string>> = {
  ledger: 'the ledger',
  email: 'e-mail',
  tickets: 'tickets',
};

function appliedWords(node: Node, kind: string): string {
  if (kind === 'mail.sent') return 'One receipt is on its way.';
  if (node === 'ledger') return 'The ledger books it, once.';
  return node === 'tickets' ? 'The tickets are issued, once.' : 'The receipt is queued, once.';
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** The last four characters of the key and the attempt's number: 9f3c·2. On the broker's side: event. */
function labelOf(event: Activity): string {
  if (!event.key_suffix) return event.attempt ? `event·${event.attempt}` : 'event';
  return [suffix(event.key_suffix), event.attempt ?? ''].filter((part) => part !== '').join('·');
}
