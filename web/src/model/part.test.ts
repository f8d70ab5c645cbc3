import { expect, test } from 'vitest';
import type { Part } from '../api/shapes';
import { grouped } from './part';

const part = (name: string, of: Part['of']): Part => ({ name, of, role: '', state: 'up' });

test('parts stand by their boxes, in the order of a payment’s way', () => {
  const all = [
    part('rabbitmq', 'rabbitmq'),
    part('api', 'api'),
    part('rabbitmq-2', 'rabbitmq'),
    part('standby', 'postgres'),
  ];
  expect(grouped(all).map(({ of, list }) => [of, ...list.map(({ name }) => name)])).toEqual([
    ['api', 'api'],
    ['postgres', 'standby'],
    ['rabbitmq', 'rabbitmq', 'rabbitmq-2'],
  ]);
  expect(grouped([])).toEqual([]);
});
