import { appendFileSync } from 'node:fs';
import type { Reporter, TestCase } from '@playwright/test/reporter';

/**
 * Writes into the file PAYONCE_TEST_REPORT names, for the summary of
 * `scripts/test`, the tests that failed and those that passed only when run
 * again: a line each, `failed` or `flaky`, a tab, the test.
 */
export default class implements Reporter {
  private readonly tests = new Set<TestCase>();

  onTestEnd(test: TestCase): void {
    this.tests.add(test);
  }

  onEnd(): void {
    const file = process.env['PAYONCE_TEST_REPORT'];
    if (file === undefined) return;
    for (const test of this.tests) {
      const outcome = test.outcome();
      if (outcome !== 'unexpected' && outcome !== 'flaky') continue;
      const name = test
        .titlePath()
        .filter((part) => part !== '')
        .join(' › ');
      appendFileSync(file, `${outcome === 'flaky' ? 'flaky' : 'failed'}\t${name}\n`);
    }
  }

  printsToStdio(): boolean {
    return false;
  }
}
