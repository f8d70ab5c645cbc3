import { expect, test as base, type Locator, type Page } from '@playwright/test';
import { joinDemo, joinLimit, run } from './demo.ts';

/** What the Shop page offers to whoever looks at it, found the way a person finds it. */
export class Visitor {
  readonly pay: Locator;
  readonly verdict: Locator;
  readonly attempts: Locator;
  readonly effects: Locator;
  readonly tickets: Locator;
  readonly audit: Locator;

  constructor(readonly page: Page) {
    this.pay = page.getByRole('button', { name: /^Pay €/ });
    this.verdict = page.getByTestId('verdict');
    this.attempts = page.getByTestId('attempt');
    this.effects = page.getByTestId('effects');
    this.tickets = page.getByTestId('ticket');
    this.audit = page.getByTestId('audit');
  }

  async open(path = '/'): Promise<void> {
    await this.page.goto(run().url + path);
    await expect(this.pay).toBeVisible();
  }

  node(name: string): Locator {
    return this.page.locator(`[data-node="${name}"]`);
  }

  async card(label: string): Promise<void> {
    const card = this.page.getByRole('radio', { name: label, exact: true });
    if (!(await card.isVisible()))
      await this.page.getByRole('button', { name: 'More cards' }).click();
    await card.check({ force: true });
  }

  async chargedOnce(): Promise<void> {
    await expect(this.verdict).toContainText('You were charged once.', { timeout: 45_000 });
  }

  /** Everything that one captured payment of two tickets must have left behind. */
  async oneOfEverything(): Promise<void> {
    await expect(this.effects).toHaveAttribute('data-charges', '1');
    await expect(this.effects).toHaveAttribute('data-ledger', '1');
    await expect(this.effects).toHaveAttribute('data-mails', '1');
    await expect(this.effects).toHaveAttribute('data-tickets', '2');
    await expect(this.tickets).toHaveCount(2);
  }

  async fates(): Promise<string[]> {
    return this.attempts.evaluateAll((rows) => rows.map((row) => row.dataset['fate'] ?? ''));
  }

  /** The receipt, read in the drawer. */
  async receipts(): Promise<Locator> {
    await this.page.getByTestId('mailbox').click();
    return this.page.getByTestId('mail');
  }
}

interface Fixtures {
  visitor: Visitor;
  /** Set where the test itself makes requests fail; the browser reports those as errors. */
  failuresExpected: boolean;
  /** Fails a test of the project `calm` during which a part of the demo died. */
  calm: undefined;
}

interface WorkerFixtures {
  /** Whether the demo is the project's alone: not one that a person pointed at. */
  ownDemo: boolean;
}

/**
 * Every test fails on an error in the console, and on an exception of the page.
 * A test that kills a part, or changes how the provider behaves to all, has the
 * tag `@kills`: it runs in a project of its own, on a demo of its own.
 */
export const test = base.extend<Fixtures, WorkerFixtures>({
  ownDemo: [
    async ({}, use, { project }) => use(await joinDemo(project.name)),
    { scope: 'worker', auto: true, timeout: joinLimit },
  ],
  calm: [
    async ({ ownDemo }, use, { project }) => {
      const before = run().pids;
      await use(undefined);
      if (ownDemo && project.name === 'calm') {
        expect(run().pids, 'a part died: tag the test that kills it with @kills').toEqual(before);
      }
    },
    { auto: true },
  ],
  failuresExpected: [false, { option: true }],
  visitor: async ({ page, failuresExpected }, use) => {
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      const expected = failuresExpected && message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !expected) errors.push(message.text());
    });
    await use(new Visitor(page));
    expect(errors, 'errors in the console').toEqual([]);
  },
});

export { expect };
