import { expect, type Page } from '@playwright/test';

interface Tracked {
  tracked: Record<string, string[]>;
}

/**
 * From now on notes what the element says, each change once, for [said] to read:
 * a killed part is back before one who looks now and then has seen it down.
 * What it says is the attribute, or its text when none is named. A reload ends it.
 */
export async function track(page: Page, selector: string, attribute?: string): Promise<void> {
  await page.evaluate(
    ([which, name]) => {
      const all = ((window as unknown as Partial<Tracked>).tracked ??= {});
      const noted: string[] = (all[which] = []);
      const note = () => {
        const element = document.querySelector(which);
        if (element === null) return;
        const says = name === undefined ? element.textContent.trim() : element.getAttribute(name);
        if (says !== null && says !== noted.at(-1)) noted.push(says);
      };
      note();
      new MutationObserver(note).observe(document.body, {
        subtree: true,
        childList: true,
        characterData: true,
        attributes: true,
      });
    },
    [selector, attribute] as [string, string | undefined],
  );
}

export const said = (page: Page, selector: string): Promise<string[]> =>
  page.evaluate((which) => (window as unknown as Tracked).tracked[which] ?? [], selector);

const node = (name: string) => `[data-node="${name}"]`;

/** [track] for the state in which a node of the diagram is drawn. */
export const trackNode = (page: Page, name: string) => track(page, node(name), 'data-state');

/**
 * Until the page listens to the shop: what dies before, and is back, is never
 * drawn as down.
 */
export const listens = (page: Page) => expect(page.getByText(/^live/).first()).toBeVisible();

/** Whether the node was drawn as down since [trackNode]. */
export const wentDown = async (page: Page, name: string): Promise<boolean> =>
  (await said(page, node(name))).includes('down');

/** Whether it was, and is up now. */
export async function wentDownAndUp(page: Page, name: string): Promise<boolean> {
  const states = await said(page, node(name));
  return states.includes('down') && states.at(-1) === 'up';
}
