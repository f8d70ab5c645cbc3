import { expect, test } from 'vitest';
import type { Answer } from '../api/client';
import { Resource } from './resource.svelte';

/** A resource whose answers the test gives, one by one. */
function asked() {
  const waiting: ((body: string) => void)[] = [];
  const resource = new Resource<string>(
    () =>
      new Promise<Answer<string>>((answer) =>
        waiting.push((body) => answer({ kind: 'ok', status: 200, body, headers: new Headers() })),
      ),
  );
  return { resource, waiting };
}

test('3 loads while one is running are 1 more load after it', async () => {
  const { resource, waiting } = asked();
  const loads = [resource.load(), resource.load(), resource.load(), resource.load()];
  expect(waiting).toHaveLength(1);
  waiting[0]?.('first');
  await expect.poll(() => waiting.length).toBe(2);
  waiting[1]?.('second');
  await Promise.all(loads);
  expect(waiting).toHaveLength(2);
  expect(resource.data).toBe('second');
});

test('what is cleared drops the answer under way and does not ask again', async () => {
  const { resource, waiting } = asked();
  const loads = [resource.load(), resource.load()];
  resource.clear();
  waiting[0]?.('of the past');
  await Promise.all(loads);
  expect(waiting).toHaveLength(1);
  expect(resource.data).toBeNull();
  expect(resource.condition).toBe('idle');
});

test('a load after the clearing is of the present', async () => {
  const { resource, waiting } = asked();
  const past = resource.load();
  resource.clear();
  const present = resource.load();
  waiting[0]?.('of the past');
  await expect.poll(() => waiting.length).toBe(2);
  waiting[1]?.('of the present');
  await Promise.all([past, present]);
  expect(resource.data).toBe('of the present');
});
