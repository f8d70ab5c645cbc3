import type { Activity } from '../api/shapes';
import { suffix } from './checkout';
import { consumers, type Node, type Place } from './place';
import {
  appliedRefundWords,
  deliveredWords,
  elsewhere,
  messageOf,
  publishedWords,
} from './refundscript';

export type Style = 'solid' | 'hollow';
export type Origin = 'browser' | 'gateway';

/**
 * How one stored event is drawn. A lane is something that can be in one place
 * only: one attempt, the payment's own work, or one consumer. An event waits
 * until all lanes it needs are still, and keeps those it holds busy.
 */
export interface Script {
  /** The stored event that it draws. */
  event: string;
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

/** It takes over an attempt, or asks what became of it, instead of beginning one. */
export const inRecovery = (event: Activity): boolean => event.detail === 'recovery';

const drawnTypes = ['payment.', 'refund.', 'ledger.', 'tickets.', 'provider.refund'];

/**
 * True for what the X-ray shows of a payment: its capture, its refunds and what
 * they set off. Placing the order is another story, and so is a webhook that
 * only repeats what a charge's answer has said.
 */
export function ofStory(event: Activity): boolean {
  const { operation, type } = event;
  if (type === undefined) return operation === undefined || operation in drawnOperations;
  return operation !== 'order' && drawnTypes.some((start) => type.startsWith(start));
}

/**
 * True for what moves nothing in the picture and is still in its numbers: what the
 * provider said went through the broker too, and its deliveries are deliveries.
 */
export function carried({ kind, type }: Activity): boolean {
  return (kind === 'published' || kind === 'delivered') && (type ?? '').startsWith('provider.');
}

const drawnOperations = { capture: true, refund: true };

/** Null for events that move nothing (a process came up, a node this page does not draw). */
export function script(
  event: Activity,
  origin: Origin,
  number: number | null = null,
): Script | null {
  const pen = penFor(event, origin, number);
  const away = elsewhere(event);
  if (away !== null) {
    const drawn = pen.work(away.route, away.caption, away.flash ?? null);
    return away.hollow ? { ...drawn, style: 'hollow' } : drawn;
  }
  return event.operation === 'refund'
    ? refundScript(event, origin, pen)
    : captureScript(event, origin, number, pen);
}

/** What is the same for many events: their lanes, and the two ways to move on them. */
interface Pen {
  /** The lane of the payment's own work, and that of one attempt. */
  main: string;
  attempt: string;
  base: Pick<Script, 'event' | 'style' | 'label' | 'flash' | 'rest'>;
  work: (route: Place[], caption: string, flash?: Place | null) => Script;
  /** From the gate into the tray, and back to where it came from. */
  back: (caption: string) => Script;
}

function penFor(event: Activity, origin: Origin, number: number | null): Pen {
  const main = `work:${event.payment_id ?? ''}`;
  const attempt = `try:${event.trace_id ?? event.id}`;
  const base = {
    event: event.id,
    style: 'solid' as Style,
    label: labelOf(event, number),
    flash: null,
    rest: shortRest,
  };
  return {
    main,
    attempt,
    base,
    work: (route, caption, flash = null) => ({
      ...base,
      route,
      caption,
      flash,
      lane: main,
      needs: [main],
    }),
    back: (caption) => ({
      ...base,
      route: ['gate', 'tray', origin],
      style: 'hollow',
      caption,
      lane: attempt,
      needs: [attempt, main],
      flash: 'tray',
      rest: 0,
    }),
  };
}

function captureScript(
  event: Activity,
  origin: Origin,
  number: number | null,
  pen: Pen,
): Script | null {
  const { main, attempt, base, work, back } = pen;
  const key = event.key_suffix ? `key …${event.key_suffix}` : 'a key';
  const which = number === null ? 'An attempt' : `Attempt ${number}`;
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
        ...work(
          ['gate', 'api'],
          inRecovery(event)
            ? `${which} takes over what another has begun.`
            : `${which} is the first with its key: it passes.`,
          'gate',
        ),
        needs: [attempt, main],
      };
    case 'interrupted':
      return {
        ...work(['gate'], `${which} had begun, and its process ended without a word.`),
        style: 'hollow',
      };
    case 'charge.sent':
      return inRecovery(event)
        ? work(['api', 'provider'], 'The API asks the provider what became of the charge.')
        : work(['api', 'provider'], 'The API asks the provider for one charge.');
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
        publishedWords(event.type) ?? 'The relay publishes the event; RabbitMQ confirms.',
        'rabbitmq',
      );
    case 'returned':
      return work(['rabbitmq', 'relay'], 'RabbitMQ gave the event back; it stays in the outbox.');
    case 'replayed':
      return back(`${which} gets the stored answer, byte for byte.`);
    case 'waited':
      return inDoubt(event)
        ? {
            ...back(`${which} is answered 202: not known yet, ask again.`),
            route: ['gate', origin],
          }
        : back(`${which} waited for its twin and gets the same answer.`);
    case 'recovered':
      return { ...back(`${which} finished it and gets the answer.`), route: ['gate', origin] };
    case 'matched':
      return back(`${which} came with another key; the payment itself matched it.`);
    case 'rejected':
      return { ...back(`${which} is refused and changes nothing.`), route: ['gate', origin] };
    default:
      return consumerScript(event, base.label, main);
  }
}

/**
 * A request for a refund. Only its outcome names the payment, so its whole
 * way through the gate is drawn from that.
 */
function refundScript(event: Activity, origin: Origin, pen: Pen): Script | null {
  const again = 'The same refund was asked for again and gets the stored answer.';
  const refused = 'A refund is refused and changes nothing.';
  switch (event.kind) {
    case 'committed':
      return pen.work(
        [origin, 'gate', 'api', 'postgres'],
        'A refund is asked for: refund, saga and event commit together.',
        'postgres',
      );
    case 'replayed':
      return { ...pen.back(again), route: [origin, 'gate', 'tray', origin] };
    case 'rejected':
      return { ...pen.back(refused), route: [origin, 'gate', origin], flash: null };
    default:
      return null;
  }
}

function consumerScript(event: Activity, label: string, main: string): Script | null {
  const node = consumers.find((name) => name === event.node);
  if (node === undefined) return null;
  const here = {
    event: event.id,
    label,
    lane: node,
    style: 'solid' as Style,
    rest: shortRest,
    flash: null,
  };
  const who = consumerWords[node] ?? node;
  switch (event.kind) {
    case 'delivered':
      return {
        ...here,
        route: ['rabbitmq', node],
        needs: [main, node],
        caption:
          deliveredWords(event.type, capital(who)) ?? `RabbitMQ delivers the event to ${who}.`,
      };
    case 'applied':
    case 'mail.sent':
      return {
        ...here,
        route: [node],
        needs: [node],
        flash: node,
        rest: 300,
        caption: appliedRefundWords(event.type, node) ?? appliedWords(node, event),
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
  saga: 'the saga',
};

function appliedWords(node: Node, event: Activity): string {
  if (event.kind === 'mail.sent') {
    return event.detail?.startsWith('refund') === true
      ? 'One mail about the refund is on its way.'
      : `One ${event.detail ?? 'receipt'} is on its way.`;
  }
  if (node === 'ledger') return 'The ledger books it, once.';
  if (node === 'tickets') return 'The tickets are issued, once.';
  return event.type === 'payment.captured' || event.type === undefined
    ? 'The receipt is queued, once.'
    : 'A mail about it is queued, once.';
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * The last four characters of the key and the attempt's number: 9f3c·2. On the
 * broker's side the event, and of a refund which one.
 */
function labelOf(event: Activity, number: number | null): string {
  if (!event.key_suffix) return messageOf(event.type)?.short ?? 'event';
  return [suffix(event.key_suffix), number ?? ''].filter((part) => part !== '').join('·');
}
