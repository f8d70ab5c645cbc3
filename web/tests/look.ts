import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, type Page } from '@playwright/test';
import { findings } from './axe.ts';

const pictures = join(dirname(fileURLToPath(import.meta.url)), '..', 'test-results', 'pages');

/** Phone, tablet, laptop, projector. */
export const sizes = [
  [390, 844],
  [768, 1024],
  [1280, 800],
  [1920, 1080],
] as const;

/** axe finds nothing, and nothing sticks out or is squeezed. */
export async function fits(page: Page, what: string): Promise<void> {
  expect(await findings(page), what).toEqual([]);
  const overhang = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  expect(overhang, `${what}: wider than the window`).toBeLessThanOrEqual(0);
  const squeezed = await page.evaluate(() =>
    [...document.querySelectorAll('svg.icon')]
      .map((icon) => [icon.getBoundingClientRect(), icon.parentElement?.textContent] as const)
      .filter(([box]) => Math.abs(box.width - box.height) > 0.5)
      .map(([, beside]) => beside?.trim().slice(0, 60)),
  );
  expect(squeezed, `${what}: icons that are not square`).toEqual([]);
}

/** The page [fits] at four widths, and a picture is taken of each. */
export async function look(page: Page, name: string): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  for (const [width, height] of sizes) {
    await page.setViewportSize({ width, height });
    await page.waitForTimeout(50); // the layout follows the window in the next frame
    await fits(page, `${name} at ${width}`);
    await page.screenshot({ path: join(pictures, `${name}-${width}.png`), fullPage: true });
  }
}
