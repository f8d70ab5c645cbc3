import type { Activity } from '../api/shapes';
import type { Place } from './place';

/** What a refund's event is about: the words of a command, and the short word on its token. */
interface Words {
  does: string;
  short: string;
}

const commands: Record<string, Words> = {
  'ledger.hold_refund': { does: 'hold the amount', short: 'hold' },
  'ledger.release_refund': { does: 'release the amount', short: 'release' },
  'ledger.settle_refund': { does: 'book the refund', short: 'settle' },
  'tickets.void': { does: 'void the tickets', short: 'void' },
  'tickets.reinstate': { does: 'make the tickets good again', short: 'reinstate' },
  'provider.refund': { does: 'give the money back', short: 'refund' },
};

const facts: Record<string, string> = {
  'refund.requested': 'refund?',
  'refund.completed': 'refunded',
  'refund.failed': 'refused',
  'refund.reservation_closed': 'closed',
  'refund.recorded': 'recorded',
  'tickets.issued': 'issued',
  'provider.refund_succeeded': 'webhook',
  'provider.refund_failed': 'webhook',
};

/** A message of the refund's story: a command, a reply to one, or a fact. Null for others. */
interface Message {
  kind: 'command' | 'reply' | 'fact';
  does: string;
  short: string;
  good: boolean;
}

export function messageOf(type: string | undefined): Message | null {
  if (type === undefined) return null;
  const command = commands[type];
  if (command !== undefined) return { kind: 'command', ...command, good: true };
  const reply = /^(.+)\.(done|failed)$/.exec(type);
  const about = reply === null ? undefined : commands[reply[1] ?? ''];
  if (about !== undefined) {
    const good = reply?.[2] === 'done';
    return { kind: 'reply', does: about.does, short: `${about.short} ${good ? '✓' : '✗'}`, good };
  }
  const fact = facts[type];
  return fact === undefined ? null : { kind: 'fact', does: '', short: fact, good: true };
}

/** What the outbox sends on, in a sentence; null for what is no part of a refund. */
export function publishedWords(type: string | undefined): string | null {
  const message = messageOf(type);
  if (message === null) return null;
  if (message.kind === 'command') return `The saga’s command “${message.does}” leaves the outbox.`;
  if (message.kind === 'reply') {
    const how = message.good ? 'done' : 'refused';
    return `The answer to “${message.does}” goes back to the saga: ${how}.`;
  }
  switch (type) {
    case 'refund.requested':
      return 'The relay publishes the wish for a refund.';
    case 'refund.completed':
      return 'The saga has ended: the money went back, and every part has its outcome.';
    case 'refund.failed':
      return 'The saga has ended: nothing went back, and every part has its outcome.';
    case 'refund.reservation_closed':
      return 'The payment knows how this refund ended; a later one may wait for that.';
    case 'refund.recorded':
      return 'Money went back at the provider without a request here; it is booked, and every part has its event.';
    case 'tickets.issued':
      return 'That the tickets are issued is an event too.';
    default:
      return 'What the provider’s webhook said goes on its way.';
  }
}

/** What a consumer is handed. */
export function deliveredWords(type: string | undefined, who: string): string | null {
  const message = messageOf(type);
  if (message === null) return null;
  if (message.kind === 'command') return `${who} gets a command: ${message.does}.`;
  if (message.kind === 'reply') {
    return `${who} hears: “${message.does}” is ${message.good ? 'done' : 'refused'}.`;
  }
  switch (type) {
    case 'refund.requested':
      return `${who} gets the wish for a refund.`;
    case 'refund.reservation_closed':
      return `${who} hears that an earlier refund has ended.`;
    default:
      return null;
  }
}

/** What a consumer did, with what it committed together. */
export function appliedRefundWords(type: string | undefined, node: string): string | null {
  const message = messageOf(type);
  if (message === null) return null;
  if (message.kind === 'command') {
    return `Asked to ${message.does}: effect, inbox row and answer commit together.`;
  }
  if (node !== 'saga') return null;
  return type === 'refund.requested'
    ? 'The saga begins: its first command is stored with its undo.'
    : 'The saga takes one step: its state and what it sends next commit together.';
}

/** Where a refund’s own events are drawn that no consumer of the picture stands for. */
export interface Elsewhere {
  route: Place[];
  caption: string;
  hollow?: boolean;
  flash?: Place;
}

export function elsewhere(event: Activity): Elsewhere | null {
  const { kind, node, type } = event;
  if (kind === 'committed' && event.operation === 'webhook') {
    return {
      route: ['provider', 'api', 'postgres'],
      caption: 'The provider’s webhook says the same; its receipt commits.',
      flash: 'postgres',
    };
  }
  if (node === 'checkout' && kind === 'applied') {
    return {
      route: ['postgres'],
      caption: 'The payment learns how its refund ended.',
      flash: 'postgres',
    };
  }
  if (node !== 'provider' || type !== 'provider.refund') return null;
  switch (kind) {
    case 'delivered':
      return {
        route: ['rabbitmq', 'provider'],
        caption: 'The worker asks the provider to give the money back, under the refund’s own key.',
      };
    case 'applied':
      return {
        route: ['provider'],
        caption: 'The provider has answered; inbox row and reply commit together.',
        flash: 'provider',
      };
    case 'absorbed':
      return {
        route: ['provider'],
        caption: 'The command came again; the inbox absorbs it.',
        hollow: true,
      };
    case 'retried':
      return { route: ['provider', 'rabbitmq'], caption: 'The provider is asked again later.' };
    default:
      return null;
  }
}
