import type { Part } from '../api/shapes';

/** The parts by the box of the X-ray that they stand in, in the order of a payment's way. */
export function grouped(parts: Part[]): { of: Part['of']; list: Part[] }[] {
  const order: Part['of'][] = ['api', 'postgres', 'relay', 'rabbitmq', 'worker'];
  return order
    .map((of) => ({ of, list: parts.filter((part) => part.of === of) }))
    .filter(({ list }) => list.length > 0);
}
