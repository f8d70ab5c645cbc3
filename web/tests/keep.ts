import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from '@playwright/test';

// The pictures of README and docs are taken of the real thing. Only
// UPDATE_PICTURES=1 replaces those that are kept, so that a test run leaves git
// clean.
const here = dirname(fileURLToPath(import.meta.url));
export const updating = process.env['UPDATE_PICTURES'] === '1';
const folder = updating
  ? join(here, '..', '..', 'docs', 'pictures')
  : join(here, '..', 'test-results', 'pictures');

export function keep(name: string, bytes: Uint8Array): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), bytes);
  expect(bytes.length).toBeGreaterThan(5_000);
}
