import { execFile, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const startLimit = 240_000;
const stopLimit = 40_000;

/**
 * The set-up of all tests: each project has a real demo of its own, with
 * everything it keeps in a folder of its own. It starts when a first worker of
 * the project asks for it at the address in PAYONCE_DEMOS (see demo.ts), so that
 * a project of which no test is chosen starts none, and workers of one project
 * share theirs. PAYONCE_RUN_JSON names a demo that runs already, for all tests;
 * it is left alone. Returns what stops the demos. If this process dies first,
 * they stop by themselves.
 */
export default async function setup(): Promise<() => Promise<void>> {
  if (process.env['PAYONCE_RUN_JSON'] !== undefined) return () => Promise.resolve();
  const folder = mkdtempSync(join(tmpdir(), 'payonce-browser-'));
  chmodSync(folder, 0o755); // Postgres, which is not root, must get through.
  const children: ChildProcess[] = [];
  const started = new Map<string, Promise<string>>();
  let built: Promise<string> | undefined;

  const start = async (project: string): Promise<string> => {
    built ??= programs(join(folder, 'bin'));
    const bin = await built;
    const data = join(folder, project, 'data');
    mkdirSync(data, { recursive: true });
    const args = ['--stop-with-parent', '--no-browser', '--data-dir', data];
    args.push('--bin', bin, '--port', String(await freePort()));
    const child = spawn(join(bin, 'demo'), args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    const log = join(folder, project, 'demo.log');
    const out = createWriteStream(log);
    child.stdout.pipe(out);
    child.stderr.pipe(out);
    try {
      await appears(join(data, 'run.json'), child);
    } catch (error) {
      console.error(readFileSync(log, 'utf8'));
      throw error;
    }
    return join(data, 'run.json');
  };

  const server = createServer((request, response) => {
    const project = (request.url ?? '').slice(1);
    const run = started.get(project) ?? start(project);
    started.set(project, run);
    run.then(
      (path) => response.end(path),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  process.env['PAYONCE_DEMOS'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return async () => {
    server.close();
    await Promise.all(children.map(end));
    rmSync(folder, { recursive: true, force: true });
  };
}

/** The folder of the demo's programs: PAYONCE_BIN, or built here once for all demos. */
async function programs(folder: string): Promise<string> {
  const ready = process.env['PAYONCE_BIN'];
  if (ready !== undefined && ready !== '') return ready;
  const run = promisify(execFile);
  const go = (...args: string[]) =>
    run('go', ['build', '-buildvcs=false', '-o', `${folder}/`, ...args], { cwd: root });
  await run(join(root, 'scripts', 'web-build')); // before the api, which embeds the page
  await go('./cmd/demo');
  await go('-tags', 'lab', './cmd/api', './cmd/relay', './cmd/worker', './cmd/simulator');
  return folder;
}

/**
 * Two demos that start at once would both choose 8080. Below 32768 no system
 * takes ports for outgoing connections: a killed api finds its own free again.
 * From 20000 on the demos draw the ports of their other parts.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 8_000);
    const probe = createServer();
    const free = await new Promise<boolean>((answer) => {
      probe.once('error', () => answer(false));
      probe.listen(port, '127.0.0.1', () => answer(true));
    });
    if (!free) continue;
    await new Promise((closed) => probe.close(closed));
    return port;
  }
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
