import type { Answer } from './client';
import type { Problem } from './shapes';

/** What the sender is doing right now, in a form the page can put into words. */
export type Waiting =
  | { why: 'silence'; again: number; inMs: number }
  | { why: 'busy'; again: number; inMs: number; status: number }
  | { why: 'doubt'; again: number; inMs: number };

export type Outcome<T> =
  | { kind: 'ok'; body: T; headers: Headers; status: number }
  | { kind: 'refused'; problem: Problem; status: number; headers: Headers }
  | { kind: 'gave-up'; problem: Problem | null }
  /** Nobody waits for it any more: another checkout has begun. */
  | { kind: 'dropped' };

export interface Patience {
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  onWaiting: (waiting: Waiting | null) => void;
  signal: AbortSignal;
  /** How often to ask at most; after it the page offers a button instead of asking for ever. */
  limit: number;
}

const firstPause = 300;
const longestPause = 5_000;

/** Doubles from 0.3 s to 5 s; a Retry-After of the shop wins when it is longer. */
export function pause(again: number, retryAfter: string | null): number {
  const grown = Math.min(firstPause * 2 ** (again - 1), longestPause);
  const asked = Number(retryAfter ?? '') * 1000;
  return Number.isFinite(asked) && asked > grown ? asked : grown;
}

/**
 * True where the same request with the same key may be sent again: nothing was
 * stored as its answer. Every other status is the operation's own outcome.
 */
export function mayAskAgain(answer: Answer<unknown>): boolean {
  if (answer.kind === 'silence') return true;
  if (answer.kind === 'ok') return false;
  const inProgress =
    answer.status === 409 && answer.problem.type.endsWith('idempotency-key-in-progress');
  return inProgress || answer.status === 429 || answer.status >= 500;
}

/**
 * Sends until there is an outcome. `send` must use one and the same key each
 * time; that is what makes asking again harmless.
 */
export async function untilAnswered<T>(
  send: () => Promise<Answer<T>>,
  patience: Patience,
): Promise<Outcome<T>> {
  for (let again = 1; ; again++) {
    const answer = await send();
    if (!mayAskAgain(answer)) {
      patience.onWaiting(null);
      return answer.kind === 'ok' ? answer : { ...(answer as Refusal), kind: 'refused' };
    }
    if (again >= patience.limit) {
      patience.onWaiting(null);
      return { kind: 'gave-up', problem: answer.kind === 'problem' ? answer.problem : null };
    }
    const inMs = pause(again, answer.kind === 'problem' ? answer.headers.get('Retry-After') : null);
    patience.onWaiting(
      answer.kind === 'silence'
        ? { why: 'silence', again, inMs }
        : { why: 'busy', again, inMs, status: (answer as Refusal).status },
    );
    await patience.wait(inMs, patience.signal);
  }
}

type Refusal = Extract<Answer<unknown>, { kind: 'problem' }>;

/**
 * After a 202 the charge is in doubt and the shop itself is finding out. The
 * page only reads until the payment has left the two states that may change.
 */
export async function untilSettled<T extends { status: string }>(
  read: () => Promise<Answer<T>>,
  retryAfter: string | null,
  patience: Patience,
): Promise<Outcome<T>> {
  let next = retryAfter;
  for (let again = 1; again <= patience.limit; again++) {
    const inMs = Math.max(pause(Math.min(again, 3), next), 500);
    patience.onWaiting({ why: 'doubt', again, inMs });
    await patience.wait(inMs, patience.signal);
    const answer = await read();
    if (answer.kind === 'ok' && !['in_doubt', 'capturing'].includes(answer.body.status)) {
      patience.onWaiting(null);
      return answer;
    }
    if (answer.kind === 'problem' && !mayAskAgain(answer)) {
      patience.onWaiting(null);
      return { ...answer, kind: 'refused' };
    }
    next = answer.kind === 'silence' ? null : answer.headers.get('Retry-After');
  }
  patience.onWaiting(null);
  return { kind: 'gave-up', problem: null };
}

export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
