import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, type Page } from '@playwright/test';
import { colours, findings } from './axe.ts';

// A full-page picture costs as much as axe, and no test reads it: PICTURES=1 takes them.
const wanted = process.env['PICTURES'] === '1';
const pictures = join(dirname(fileURLToPath(import.meta.url)), '..', 'test-results', 'pages');

/** Phone, tablet, laptop, large screen. */
export const sizes = [
  [390, 844],
  [768, 1024],
  [1280, 800],
  [1920, 1080],
] as const;

/** Every rule of axe in the light; in the dark the DOM is the same, and only colours differ. */
const schemes = [
  ['light', undefined],
  ['dark', colours],
] as const;

/**
 * At the width that the window has, in light and dark: axe finds nothing, and
 * nothing sticks out or is squeezed.
 */
export async function fits(page: Page, name: string): Promise<void> {
  for (const [colorScheme, rules] of schemes) {
    await page.emulateMedia({ colorScheme });
    await rests(page);
    const what = `${name}, ${colorScheme}`;
    expect(await findings(page, rules), what).toEqual([]);
    const { overhang, squeezed } = await page.evaluate(() => ({
      overhang: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      squeezed: [...document.querySelectorAll('svg.icon')]
        .map((icon) => [icon.getBoundingClientRect(), icon.parentElement?.textContent] as const)
        .filter(([box]) => Math.abs(box.width - box.height) > 0.5)
        .map(([, beside]) => beside?.trim().slice(0, 60)),
    }));
    expect(overhang, `${what}: wider than the window`).toBeLessThanOrEqual(0);
    expect(squeezed, `${what}: icons that are not square`).toEqual([]);
    await picture(page, `${name}-${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
}

/** The page as it stands [fits] at four widths, one after the other; then it has its own again. */
export async function look(page: Page, name: string): Promise<void> {
  const before = page.viewportSize();
  for (const [width, height] of sizes) {
    await page.setViewportSize({ width, height });
    await fits(page, `${name}-${width}`);
  }
  if (before !== null) await page.setViewportSize(before);
}

/** Layout follows the window in the next frame; a colour that fades is not yet what it will be. */
async function rests(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const frame = () => new Promise((next) => requestAnimationFrame(next));
    await frame();
    await frame();
    for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
  });
}

async function picture(page: Page, name: string): Promise<void> {
  if (!wanted) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}
