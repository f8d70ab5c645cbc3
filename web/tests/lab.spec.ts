import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from '@playwright/test';
import { run } from './demo.ts';
import { keep } from './keep.ts';
import { look } from './look.ts';
import { expect, test } from './visitor.ts';

// Some lessons kill the api, and a page asks a dead one in vain.
test.use({ failuresExpected: true });

const source = join(
  dirname(fileURLToPath(import.meta.url)),
  ...['..', '..', 'internal', 'lab', 'lesson'],
);
const texts = join(source, 'text');
const list = readFileSync(join(source, 'lesson.go'), 'utf8');

/**
 * The lessons as their texts name them, each with the option that is expected to
 * come true, and whether it kills: the runner lets such a lesson be alone.
 */
const lessons = readdirSync(texts)
  .filter((file) => file !== 'explain-it-back.md')
  .map((file) => file.replace('.md', ''))
  .map((slug) => ({
    slug,
    truth: /^truth: (\S+)$/m.exec(readFileSync(join(texts, `${slug}.md`), 'utf8'))?.[1] ?? '',
    disturbs: new RegExp(`Slug: "${slug}".*Disturbs: true`).test(list),
  }));

/** Longer than the longest lesson, which waits for a lease and a schedule. */
const lessonLimit = 240_000;

const open = (page: Page, path: string) => page.goto(run().url + path);
const option = (page: Page, id: string) =>
  page.locator(`[data-testid="option"][data-option="${id}"]`);
const ended = (page: Page) =>
  expect(page.getByRole('heading', { name: 'Why', exact: true })).toBeVisible({
    timeout: lessonLimit - 30_000,
  });

async function play(page: Page, slug: string, truth: string): Promise<void> {
  await open(page, `/lab/${slug}`);
  await option(page, truth).click();
  await page.getByTestId('run').click();
  await ended(page);
}

test('there are 16 lessons and a closing page, and nothing is done yet', async ({ visitor }) => {
  const { page } = visitor;
  await open(page, '/lab');
  await expect(page.getByTestId('lesson')).toHaveCount(17);
  await expect(page.getByText('0 of 16')).toBeVisible();
  await expect(page.getByRole('link', { name: /^Begin: / })).toBeVisible();
  expect(lessons).toHaveLength(16);
  expect(lessons.filter((one) => one.disturbs)).not.toEqual([]); // read from the runner's source
});

for (const { slug, truth, disturbs } of lessons) {
  const title = `${slug}: predicted, run, watched, checked; the prediction's truth is “${truth}”`;
  test(title, { tag: disturbs ? '@kills' : [] }, async ({ visitor }) => {
    test.setTimeout(lessonLimit);
    const { page } = visitor;
    await play(page, slug, truth);
    await expect(page.getByTestId('judgement')).toHaveAttribute('data-tone', 'right');
    await expect(option(page, truth)).toHaveAttribute('data-true', 'true');
    const checks = page.getByTestId('check');
    expect(await checks.count()).toBeGreaterThan(0);
    await expect(page.locator('[data-testid="check"][data-ok="false"]')).toHaveCount(0);
    expect(await page.getByTestId('step').count()).toBeGreaterThan(0);
    await expect(page.getByTestId('unguaranteed')).toContainText('What remains unguaranteed:');
    await expect(page.getByTestId('code').first()).toBeVisible();
    await look(page, `lesson-${slug}`);
  });
}

test('nothing is shown before an option is picked, and a wrong guess is told kindly after a reload too', async ({
  visitor,
}) => {
  const { page } = visitor;
  await open(page, '/lab/double-click');
  await expect(page.getByTestId('option')).toHaveCount(3);
  for (const name of ['Run', 'Watch', 'Check', 'Why']) {
    await expect(page.getByRole('heading', { name, exact: true })).toHaveCount(0);
  }
  await option(page, 'two').click();
  await page.getByTestId('run').click();
  await ended(page);
  for (let reload = 0; reload < 2; reload++) {
    await expect(page.getByTestId('judgement')).toHaveAttribute('data-tone', 'wrong');
    await expect(option(page, 'same')).toHaveAttribute('data-true', 'true');
    await expect(option(page, 'two')).toHaveAttribute('data-true', 'false');
    await expect(visitor.node('api')).toContainText('2 in');
    keep('page-wrong-guess.png', await page.screenshot());
    await page.reload();
  }
  await page.getByRole('button', { name: 'Predict again' }).click();
  await expect(page.getByRole('heading', { name: 'Why', exact: true })).toHaveCount(0);
  await open(page, '/lab');
  await expect(page.getByText('1 of 16')).toBeVisible();
  await expect(page.locator('[data-slug="double-click"]')).toHaveAttribute('data-state', 'held');
});

test('while the api is down the page says so and asks again; the run is there afterwards', async ({
  visitor,
}) => {
  const { page } = visitor;
  await page.route('**/v1/lab/lesson-runs/run_*', (route) => route.abort());
  await open(page, '/lab/double-click');
  await page.getByRole('button', { name: 'Just run it' }).click();
  await page.getByTestId('run').click();
  await expect(page.getByTestId('away')).toContainText('The API is down, asking again.');
  await page.unroute('**/v1/lab/lesson-runs/run_*');
  await ended(page);
  await expect(page.getByTestId('away')).toHaveCount(0);
  await expect(page.getByTestId('judgement')).toHaveAttribute('data-tone', 'none');
});

test('the naive shop shows its harm in the same lesson: a check that does not hold, 2 charges', async ({
  visitor,
}) => {
  test.setTimeout(lessonLimit);
  const { page } = visitor;
  await open(page, '/lab/double-click');
  await option(page, 'same').click();
  await page.getByTestId('run-naive').click();
  await ended(page);
  expect(await page.locator('[data-testid="check"][data-ok="false"]').count()).toBeGreaterThan(0);
  await expect(page.getByTestId('bill')).toHaveAttribute('data-charges', '2');
});

test('with the keyboard alone: arrow, enter, the notes by N, and on to the next lesson', async ({
  visitor,
}) => {
  const { page } = visitor;
  await open(page, '/lab/double-click');
  const radios = page.getByRole('radio');
  const run = page.getByTestId('run');
  await expect(radios.first()).toBeAttached();
  await tabTo(page, () => document.activeElement?.getAttribute('type') === 'radio');
  await page.keyboard.press('Space');
  await expect(radios.first()).toBeChecked();
  await tabTo(page, () => document.activeElement?.getAttribute('data-testid') === 'run');
  await page.keyboard.press('Enter');
  await ended(page);
  await expect(run).toBeFocused();
  await page.keyboard.press('n');
  await expect(page.getByTestId('notes')).toHaveAttribute('open', '');
  await page.keyboard.press('n');
  await expect(page.getByTestId('notes')).not.toHaveAttribute('open', '');
  await tabTo(page, () => document.activeElement?.getAttribute('rel') === 'next');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/lab\/two-tabs$/);
});

async function tabTo(page: Page, there: () => boolean): Promise<void> {
  for (let step = 0; step < 80; step++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(there)) return;
  }
  expect(false, 'the Tab key never came there').toBe(true);
}

test('the box of lost-answer multiplies: 3 × 3 × 3 = 27, and 6 × 3 × 3 = 54', async ({
  visitor,
}) => {
  const { page } = visitor;
  test.setTimeout(lessonLimit);
  await open(page, '/lab/lost-answer');
  await page.getByRole('button', { name: 'Just run it' }).click();
  await page.getByTestId('run').click();
  await ended(page);
  await expect(page.getByTestId('attempts-product')).toContainText('3 × 3 × 3 = 27');
  await page.locator('label input[type="range"]').first().focus();
  await page.keyboard.press('End');
  await expect(page.getByTestId('attempts-product')).toContainText('6 × 3 × 3 = 54');
});

test('explaining it back shows the evidence of the visitor’s own run, and of nobody else’s', async ({
  visitor,
  browser,
}) => {
  const { page } = visitor;
  await play(page, 'double-click', 'same');
  await open(page, '/lab/explain-it-back');
  const proven = page.locator('[data-testid="question"][data-evidence="true"]').first();
  await expect(proven).toContainText('checks hold');
  const stranger = await browser.newContext();
  const other = await stranger.newPage();
  await open(other, '/lab/explain-it-back');
  await expect(other.getByTestId('question').first()).toContainText('Go to the lesson');
  await expect(other.locator('[data-testid="question"][data-evidence="true"]')).toHaveCount(0);
  await stranger.close();
});

test('a lesson that is not there is said to be none', async ({ visitor }) => {
  await open(visitor.page, '/lab/no-such-lesson');
  await expect(visitor.page.getByText('There is no such lesson.')).toBeVisible();
});

test.describe('with reduced motion', () => {
  test.use({ contextOptions: { reducedMotion: 'reduce' } });

  test('a lesson runs to its end', async ({ visitor }) => {
    await play(visitor.page, 'two-tabs', lessons.find((l) => l.slug === 'two-tabs')?.truth ?? '');
    await expect(visitor.page.getByTestId('judgement')).toHaveAttribute('data-tone', 'right');
  });
});

test('every page of the lab at 390, 768, 1280 and 1920 px, light and dark: axe finds 0, nothing sticks out', async ({
  visitor,
}) => {
  test.setTimeout(lessonLimit);
  const { page } = visitor;
  await open(page, '/lab/double-click');
  await expect(page.getByTestId('option').first()).toBeVisible();
  await look(page, 'lesson-before');
  await play(page, 'double-click', 'same');
  await page.getByText('How it was asked').first().click();
  await page.keyboard.press('n');
  await look(page, 'lesson-opened');
  await open(page, '/lab');
  await expect(page.getByText('1 of 16')).toBeVisible();
  await look(page, 'lab');
  await open(page, '/lab/explain-it-back');
  await page.locator('summary').first().click();
  await page.locator('summary', { hasText: 'Your run' }).first().click();
  await look(page, 'explain');
});
