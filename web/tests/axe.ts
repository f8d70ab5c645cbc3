import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from '@playwright/test';

const axeSource = readFileSync(
  createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
  'utf8',
);

interface Finding {
  id: string;
  nodes: { html: string }[];
}

/** The rules that look at colours: of all, only their answer follows the colour scheme. */
export const colours = ['color-contrast', 'link-in-text-block'] as const;

const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds, by the rules that are named or by all of them. */
export async function findings(page: Page, only?: readonly string[]): Promise<string[]> {
  // Evaluated, not injected as a tag: the page's policy allows no foreign script.
  // A document keeps it until the next one is loaded.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axeSource);
  const violations = await page.evaluate(
    async (runOnly) => {
      const { axe } = window as unknown as {
        axe: { run: (options: object) => Promise<{ violations: Finding[] }> };
      };
      // What passed is counted out in full otherwise, which takes most of the time.
      const options = { runOnly, resultTypes: ['violations'] };
      return (await axe.run(options)).violations;
    },
    only === undefined ? { type: 'tag', values: tags } : { type: 'rule', values: [...only] },
  );
  return violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`);
}
