import { defineConfig } from '@playwright/test';

// One demo, one worker: some tests kill its api, and two cores are all that CI has.
export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results/runs',
  globalSetup: './tests/demo.ts',
  workers: 1,
  fullyParallel: false,
  timeout: 60_000,
  expect: { timeout: 20_000 },
  // One that passes only the second time is named in the summary of scripts/test.
  retries: process.env['PAYONCE_TEST_REPORT'] === undefined ? 0 : 1,
  reporter: [['list'], ['./tests/report.ts']],
  use: {
    browserName: 'chromium',
    locale: 'en-IE',
    viewport: { width: 1280, height: 800 },
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      // As root Chromium refuses to start with its sandbox.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    },
  },
});
