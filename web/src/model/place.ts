/** The fixed nodes of the X-ray, in reading order. */
export const nodes = [
  'browser',
  'gateway',
  'api',
  'provider',
  'postgres',
  'relay',
  'rabbitmq',
  'ledger',
  'email',
  'tickets',
  'saga',
] as const;

export type Node = (typeof nodes)[number];

/** Where a token can be: on a node, at the key gate before the api, or in the tray beneath it. */
export type Place = Node | 'gate' | 'tray';

export const nodeNames: Record<Node, string> = {
  browser: 'Browser',
  gateway: 'Gateway',
  api: 'API',
  provider: 'Provider',
  postgres: 'Postgres',
  relay: 'Relay',
  rabbitmq: 'RabbitMQ',
  ledger: 'Ledger',
  email: 'E-mail',
  tickets: 'Tickets',
  saga: 'Saga',
};

export const consumers: readonly Node[] = ['ledger', 'email', 'tickets', 'saga'];

/** A process may be one node, or, like the worker, the home of four. */
export function nodesOf(process: string): readonly Node[] {
  if (process === 'worker') return consumers;
  if (process === 'simulator') return ['provider'];
  return nodes.filter((node) => node === process);
}
