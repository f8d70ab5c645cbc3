import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The part of run.json that browser tests need. */
export interface Run {
  url: string;
  mailbox_url: string;
  simulator_url: string;
  postgres_dsn: string;
  pids: Record<string, number>;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const startLimit = 240_000;
const stopLimit = 40_000;

/** Read anew each time: a part that was killed comes back with another pid. */
export function run(): Run {
  const path = process.env['PAYONCE_RUN_JSON'];
  if (path === undefined) throw new Error('no demo: the global set-up did not run');
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

/**
 * Starts the real demo, once for all tests, with everything it keeps in a folder
 * of its own; PAYONCE_RUN_JSON names one that runs already and is left alone.
 * Returns what stops it. If this process dies first, the demo stops by itself.
 */
export default async function setup(): Promise<() => Promise<void>> {
  if (process.env['PAYONCE_RUN_JSON'] !== undefined) return () => Promise.resolve();
  const folder = mkdtempSync(join(tmpdir(), 'payonce-browser-'));
  chmodSync(folder, 0o755); // Postgres, which is not root, must get through.
  const data = join(folder, 'data');
  const demo = join(folder, 'demo');
  execFileSync('go', ['build', '-buildvcs=false', '-o', demo, './cmd/demo'], { cwd: root });

  const log = join(folder, 'demo.log');
  const child = spawn(demo, ['--stop-with-parent', '--no-browser', '--data-dir', data], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out = createWriteStream(log);
  child.stdout.pipe(out);
  child.stderr.pipe(out);
  const stop = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await appears(join(data, 'run.json'), child);
  } catch (error) {
    console.error(readFileSync(log, 'utf8'));
    await stop();
    throw error;
  }
  process.env['PAYONCE_RUN_JSON'] = join(data, 'run.json');
  return stop;
}

async function appears(path: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startLimit;
  while (!existsSync(path)) {
    if (child.exitCode !== null) throw new Error(`the demo ended with ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error(`no ${path} after ${startLimit} ms`);
    await new Promise((next) => setTimeout(next, 200));
  }
}

/** SIGTERM, and SIGKILL for one that does not listen. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  child.kill('SIGTERM');
  const alarm = setTimeout(() => child.kill('SIGKILL'), stopLimit);
  await ended;
  clearTimeout(alarm);
}
