import createClient from 'openapi-fetch';
import type { paths as LabPaths } from './lab-schema';
import type { paths as ShopPaths } from './schema';
import type { Attempt, BurstRequest, CaptureRequest, NewOrder, Problem } from './shapes';

/** What came back from the shop: an answer of any status, or nothing at all. */
export type Answer<T> =
  | { kind: 'ok'; status: number; body: T; headers: Headers }
  | { kind: 'problem'; status: number; problem: Problem; headers: Headers }
  | { kind: 'silence' };

// fetch is looked up per call, so that tests can put another one in its place.
const options = { baseUrl: location.origin, fetch: (request: Request) => fetch(request) };
const http = createClient<ShopPaths>(options);
const labHttp = createClient<LabPaths>(options);

/**
 * Turns what fetch throws for a broken line into a value: whoever calls must
 * decide what silence means. An answer cut off half way is silence too. Only a
 * caller's own abort stays an exception.
 */
async function settle<T>(
  sent: Promise<{ data?: T; error?: unknown; response: Response }>,
  signal?: AbortSignal,
): Promise<Answer<T>> {
  try {
    const { data, error, response } = await sent;
    const { status, headers } = response;
    if (response.ok) return { kind: 'ok', status, body: data as T, headers };
    return { kind: 'problem', status, problem: readProblem(error, response), headers };
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    return { kind: 'silence' };
  }
}

/** A proxy in between may answer with anything; it still becomes a problem with a title. */
function readProblem(error: unknown, response: Response): Problem {
  const fallback = {
    type: 'about:blank',
    title: response.statusText || `The shop answered ${response.status}`,
    status: response.status,
    detail: '',
    instance: new URL(response.url).pathname,
    request_id: response.headers.get('X-Request-Id') ?? '',
  };
  return { ...fallback, ...(typeof error === 'object' ? (error as Partial<Problem>) : {}) };
}

const withKey = (key: string) => ({ 'Idempotency-Key': key });

/** More rows than this are not listed; the proof counts them all the same. */
const mostAttempts = 200;

/** Oldest first, all pages: a list that is read from the top and grows at its end. */
async function allAttempts(payment_id: string): Promise<Answer<Attempt[]>> {
  const found: Attempt[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await settle(
      http.GET('/v1/payments/{payment_id}/attempts', {
        params: { path: { payment_id }, query: { limit: 100, cursor } },
      }),
    );
    if (page.kind !== 'ok') return page;
    found.push(...page.body.data);
    cursor = page.body.next_cursor ?? undefined;
    if (cursor === undefined || found.length >= mostAttempts) {
      return { ...page, body: found.reverse() };
    }
  }
}

export const shop = {
  sandbox: () => settle(http.GET('/v1/sandboxes/current')),
  catalogue: () => settle(http.GET('/v1/catalogue')),
  audit: () => settle(http.GET('/v1/audit')),
  placeOrder: (body: NewOrder, key: string, signal: AbortSignal) =>
    settle(http.POST('/v1/orders', { params: { header: withKey(key) }, body, signal }), signal),
  order: (order_id: string, signal?: AbortSignal) =>
    settle(http.GET('/v1/orders/{order_id}', { params: { path: { order_id } }, signal }), signal),
  payment: (payment_id: string, signal: AbortSignal) =>
    settle(
      http.GET('/v1/payments/{payment_id}', { params: { path: { payment_id } }, signal }),
      signal,
    ),
  capture: (payment_id: string, body: CaptureRequest, key: string, signal: AbortSignal) =>
    settle(
      http.POST('/v1/payments/{payment_id}/capture', {
        params: { path: { payment_id }, header: withKey(key) },
        body,
        signal,
      }),
      signal,
    ),
  attempts: allAttempts,
  proof: (payment_id: string) =>
    settle(http.GET('/v1/payments/{payment_id}/proof', { params: { path: { payment_id } } })),
};

/** The part of the API that only a lab build has; elsewhere these answer 404. */
export const lab = {
  mailbox: () => settle(labHttp.GET('/v1/lab/mailbox')),
  burst: (body: BurstRequest) => settle(labHttp.POST('/v1/lab/bursts', { body })),
  killAfterCharge: (payment_id: string) =>
    settle(
      labHttp.POST('/v1/lab/faults', {
        body: { point: 'capture.after_charge', action: 'kill', payment_id },
      }),
    ),
};
