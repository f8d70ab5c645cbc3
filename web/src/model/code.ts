import type { Process } from '../api/shapes';
import type { Node } from './place';

/** Where in this repository a part of the picture is programmed. */
export interface Code {
  file: string;
  name: string;
  does: string;
}

/**
 * The functions that do what the picture shows. A test in docs/ reads this table
 * and the Go source: a function that was renamed turns it red.
 */
export const codeOf: Record<Node, readonly Code[]> = {
  browser: [
    {
      file: 'internal/edge/httpapi/attempt.go',
      name: 'noteAttempt',
      does: 'journals each delivery of an intent',
    },
  ],
  gateway: [
    {
      file: 'internal/edge/httpapi/attempt.go',
      name: 'noteAttempt',
      does: 'journals each delivery of an intent',
    },
  ],
  api: [
    {
      file: 'once/idempotency/idempotency.go',
      name: 'Lookup',
      does: 'knows a key and its stored answer',
    },
    {
      file: 'internal/shop/checkout/folded.go',
      name: 'claimSQL',
      does: 'lets one attempt through',
    },
    {
      file: 'internal/shop/checkout/recover.go',
      name: 'Recover',
      does: 'finishes what a crash left half done',
    },
  ],
  provider: [
    {
      file: 'internal/shop/checkout/capture.go',
      name: 'send',
      does: 'asks for one charge under the attempt’s own key',
    },
    {
      file: 'internal/shop/refund/gateway.go',
      name: 'ProviderKey',
      does: 'gives a refund one key for ever',
    },
  ],
  postgres: [
    {
      file: 'internal/shop/checkout/folded.go',
      name: 'finaliseSQL',
      does: 'commits payment, answer and outbox row together',
    },
    {
      file: 'internal/platform/postgres/tx.go',
      name: 'InTx',
      does: 'is the one way into a transaction',
    },
  ],
  relay: [
    {
      file: 'once/outbox/engine.go',
      name: 'run',
      does: 'publishes, waits for the confirm, then marks the row',
    },
  ],
  rabbitmq: [
    {
      file: 'internal/shop/event/topology.go',
      name: 'Topology',
      does: 'declares a queue per consumer',
    },
    {
      file: 'once/rabbit/publisher.go',
      name: 'Publish',
      does: 'publishes persistent, mandatory and confirmed',
    },
  ],
  ledger: [
    {
      file: 'once/inbox/table.go',
      name: 'Admit',
      does: 'admits each event once',
    },
    { file: 'internal/shop/ledger/ledger.go', name: 'Handle', does: 'books, balanced to zero' },
  ],
  email: [
    { file: 'once/inbox/table.go', name: 'Admit', does: 'admits each event once' },
    {
      file: 'internal/shop/email/mailer.go',
      name: 'Mailer',
      does: 'sends under a Message-ID that never changes',
    },
  ],
  tickets: [
    { file: 'once/inbox/table.go', name: 'Admit', does: 'admits each event once' },
    { file: 'internal/shop/tickets/issue.go', name: 'issue', does: 'makes one row per seat' },
  ],
  saga: [
    {
      file: 'once/saga/orchestrator.go',
      name: 'Handle',
      does: 'takes one step per answer',
    },
    {
      file: 'internal/shop/refund/story.go',
      name: 'Story',
      does: 'names the steps, their undos and the pivot',
    },
  ],
};

/** The tables whose rows a part of the picture writes. */
export const tablesOf: Record<Node, readonly string[]> = {
  browser: [],
  gateway: [],
  api: ['idempotency_keys', 'payment_attempts'],
  provider: [],
  postgres: ['payments', 'idempotency_keys', 'outbox_events'],
  relay: ['outbox_events'],
  rabbitmq: [],
  ledger: ['ledger_entries', 'consumer_inbox'],
  email: ['emails', 'consumer_inbox'],
  tickets: ['tickets', 'consumer_inbox'],
  saga: ['sagas', 'saga_steps', 'saga_participations', 'consumer_inbox'],
};

/** The process that a part of the picture runs in; null for what is no process of ours. */
export const processOf: Record<Node, Process['process'] | null> = {
  browser: null,
  gateway: null,
  api: 'api',
  provider: 'simulator',
  postgres: null,
  relay: 'relay',
  rabbitmq: 'rabbitmq',
  ledger: 'worker',
  email: 'worker',
  tickets: 'worker',
  saga: 'worker',
};
