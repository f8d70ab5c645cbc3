import type { Page } from '@playwright/test';

/** A layout shift: how much, what moved, and whether somebody had just pressed something. */
export interface Shift {
  value: number;
  who: string;
  asked: boolean;
}

/** From the next page on, notes what the browser says has moved; [shifts] reads it. */
export async function watchShifts(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const noted: Shift[] = [];
    (window as unknown as { shifts: Shift[] }).shifts = noted;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { value, sources, hadRecentInput } = entry as PerformanceEntry & {
          value: number;
          hadRecentInput: boolean;
          sources: { node?: Element }[];
        };
        const who = sources.map((s) => s.node?.outerHTML?.slice(0, 80) ?? '?').join(' | ');
        noted.push({ value, who, asked: hadRecentInput });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
}

export const shifts = (page: Page): Promise<Shift[]> =>
  page.evaluate(() => (window as unknown as { shifts: Shift[] }).shifts);
