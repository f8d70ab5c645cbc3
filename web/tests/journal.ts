import type { Page } from '@playwright/test';
import type { Activity } from '../src/api/shapes.ts';

/** Every event that the journal holds of a payment, oldest first. */
export function storedEvents(page: Page, payment: string): Promise<Activity[]> {
  return page.evaluate(async (id) => {
    const events: Activity[] = [];
    for (let cursor = ''; ;) {
      const more = cursor === '' ? '' : `&cursor=${cursor}`;
      const answer = await fetch(`/v1/payments/${id}/activity?limit=100${more}`);
      const body = (await answer.json()) as { data: Activity[]; next_cursor: string | null };
      events.push(...body.data);
      if (body.next_cursor === null) return events;
      cursor = body.next_cursor;
    }
  }, payment);
}
