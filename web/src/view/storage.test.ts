import { expect, test } from 'vitest';
import { PageStorage } from './storage.svelte';

/** A browser's storage with room for so many values. */
class Room implements Storage {
  [name: string]: unknown;
  #values = new Map<string, string>();
  constructor(public room: number) {}
  get length(): number {
    return this.#values.size;
  }
  key(): string | null {
    return null;
  }
  getItem(name: string): string | null {
    return this.#values.get(name) ?? null;
  }
  setItem(name: string, value: string): void {
    if (!this.#values.has(name) && this.#values.size >= this.room) {
      throw new DOMException('full', 'QuotaExceededError');
    }
    this.#values.set(name, value);
  }
  removeItem(name: string): void {
    this.#values.delete(name);
  }
  clear(): void {
    this.#values.clear();
  }
}

const denied = (): Storage => {
  throw new DOMException('denied', 'SecurityError');
};

test('storage that is refused: what 1 page wrote it reads again, and says that it is not kept', () => {
  const storage = new PageStorage(denied);
  expect(storage.refused).toBe(true);
  expect(storage.getItem('checkout')).toBeNull();
  storage.setItem('checkout', 'K');
  expect(storage.getItem('checkout')).toBe('K');
  storage.clear();
  expect(storage.getItem('checkout')).toBeNull();
});

test('storage with room: 1 value is kept, nothing else is written, and nothing is said', () => {
  const room = new Room(1);
  const storage = new PageStorage(() => room);
  storage.setItem('checkout', 'K');
  expect([room.length, room.getItem('checkout'), storage.refused]).toEqual([1, 'K', false]);
});

test('storage that fills up: the newest value is read, and said to be unkept until there is room', () => {
  const room = new Room(1);
  const storage = new PageStorage(() => room);
  room.setItem('other', '');
  storage.setItem('checkout', 'K');
  expect([storage.getItem('checkout'), storage.refused]).toEqual(['K', true]);
  room.room = 2;
  storage.setItem('checkout', 'L');
  expect([room.getItem('checkout'), storage.refused]).toEqual(['L', false]);
});
