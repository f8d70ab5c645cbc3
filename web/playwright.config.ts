import { defineConfig } from '@playwright/test';

// A person may point the tests at a demo that runs: all of them have that one then.
const pointedAt = process.env['PAYONCE_RUN_JSON'] !== undefined;

export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results/runs',
  globalSetup: './tests/start.ts',
  // Each visitor has a sandbox of his own, so tests that kill nothing run side by
  // side on one demo. What is killed is everybody's: those tests run one after
  // the other, beside the others, on a demo of their own. They come first
  // because they take longest and mostly wait.
  projects: [
    { name: 'kills', grep: /@kills/, workers: 1 },
    { name: 'calm', grepInvert: /@kills/, fullyParallel: true },
  ],
  workers: pointedAt ? 1 : 3,
  timeout: 60_000,
  expect: { timeout: 20_000 },
  // One that passes only the second time is named in the summary of scripts/test.
  retries: process.env['PAYONCE_TEST_REPORT'] === undefined ? 0 : 1,
  reporter: [['list'], ['./tests/report.ts']],
  use: {
    browserName: 'chromium',
    locale: 'en-IE',
    viewport: { width: 1280, height: 800 },
    // What was done and asked for, which costs little. With pictures and snapshots,
    // which all tests would pay for: `npx playwright test --trace on …`.
    trace: { mode: 'retain-on-failure', screenshots: false, snapshots: false, sources: false },
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: [
        // Without one, a GPU is imitated by the processor: slower than drawing without.
        '--disable-gpu',
        // As root Chromium refuses to start with its sandbox.
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ],
    },
  },
});
