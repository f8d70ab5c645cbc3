import { readFileSync } from 'node:fs';

/** The part of run.json that browser tests need. */
export interface Run {
  url: string;
  mailbox_url: string;
  simulator_url: string;
  postgres_dsn: string;
  pids: Record<string, number>;
}

/** Longer than start.ts lets a demo take, building included. */
export const joinLimit = 300_000;

/**
 * Makes a worker one of its project's demo, which starts now if it is the first.
 * Returns whether the demo is this project's alone.
 */
export async function joinDemo(project: string): Promise<boolean> {
  const demos = process.env['PAYONCE_DEMOS'];
  if (demos === undefined) return false; // PAYONCE_RUN_JSON was given
  const answer = await fetch(`${demos}/${project}`);
  const said = await answer.text();
  if (!answer.ok) throw new Error(said);
  process.env['PAYONCE_RUN_JSON'] = said;
  return true;
}

/** Read anew each time: a part that was killed comes back with another pid. */
export function run(): Run {
  const path = process.env['PAYONCE_RUN_JSON'];
  if (path === undefined) throw new Error('no demo: the worker has joined none');
  return JSON.parse(readFileSync(path, 'utf8')) as Run;
}

/** kill -9 of a part, once run.json knows a living process of it. Returns its pid. */
export async function kill(part: string): Promise<number> {
  for (const deadline = Date.now() + 30_000; ;) {
    const pid = run().pids[part];
    if (pid === undefined || pid <= 1) throw new Error(`run.json knows no ${part}`);
    try {
      process.kill(pid, 'SIGKILL');
      return pid;
    } catch (error) {
      if (Date.now() > deadline) throw error; // still the pid of one that was killed before
      await new Promise((next) => setTimeout(next, 50));
    }
  }
}
