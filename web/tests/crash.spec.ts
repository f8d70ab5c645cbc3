import { run } from './demo.ts';
import { expect, test } from './visitor.ts';

test.use({ failuresExpected: true });

test('the API is killed after the charge and the page recovers on its own: 1 charge', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.chargedOnce();
  const before = run().pids['api'];

  await visitor.page.getByRole('button', { name: 'Kill the API after the charge' }).click();
  await expect(visitor.node('api')).toHaveAttribute('data-state', 'down');
  await expect(visitor.page.getByText(/same key/).first()).toBeVisible();
  await expect(visitor.node('api')).toHaveAttribute('data-state', 'up');
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
  await expect.poll(() => run().pids['api']).not.toBe(before);
  await expect(visitor.page.getByText('finished that: one charge')).toBeVisible();
});

test('after kill -9 of the api the stream resumes: 3 attempts are counted as 3, not more', async ({
  visitor,
}) => {
  await visitor.open();
  await visitor.pay.dblclick();
  await visitor.chargedOnce();
  await expect(visitor.node('api')).toContainText('2 in · 1 out · 1 absorbed');

  const pid = run().pids['api'];
  if (pid === undefined || pid === 0) throw new Error('run.json knows no api');
  process.kill(pid, 'SIGKILL');
  await expect(visitor.node('api')).toHaveAttribute('data-state', 'down');
  await expect(visitor.node('api')).toHaveAttribute('data-state', 'up');

  await visitor.pay.click();
  await expect(visitor.verdict).toContainText('You were charged once.');
  await expect(visitor.attempts).toHaveCount(3);
  await expect(visitor.node('api')).toContainText('3 in · 1 out · 2 absorbed');
});

test('a killed worker turns its 3 nodes grey, and the effects still come once', async ({
  visitor,
}) => {
  await visitor.open();
  const pid = run().pids['worker'];
  if (pid === undefined || pid === 0) throw new Error('run.json knows no worker');
  process.kill(pid, 'SIGKILL');
  for (const consumer of ['ledger', 'email', 'tickets']) {
    await expect(visitor.node(consumer)).toHaveAttribute('data-state', 'down');
  }
  await visitor.pay.dblclick();
  await visitor.chargedOnce();
  await visitor.oneOfEverything();
  for (const consumer of ['ledger', 'email', 'tickets']) {
    await expect(visitor.node(consumer)).toHaveAttribute('data-state', 'up');
  }
});
