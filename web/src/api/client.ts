import createClient from 'openapi-fetch';
import type { paths as LabPaths } from './lab-schema';
import type { paths as ShopPaths } from './schema';
import type {
  Activity,
  Attempt,
  BurstRequest,
  CaptureRequest,
  CompareRequest,
  DeadLetterAction,
  Guard,
  LessonRunRequest,
  NewOrder,
  NewRefund,
  PaymentDecision,
  Problem,
  SagaResolution,
} from './shapes';

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

/** A story longer than this is cut at its end; the page says so by the last line's time. */
const longestStory = 1_000;

/** Everything that the journal still holds of a payment, oldest first. */
async function allActivity(payment_id: string): Promise<Answer<Activity[]>> {
  const found: Activity[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await settle(
      http.GET('/v1/payments/{payment_id}/activity', {
        params: { path: { payment_id }, query: { limit: 100, cursor } },
      }),
    );
    if (page.kind !== 'ok') return page;
    found.push(...page.body.data);
    cursor = page.body.next_cursor ?? undefined;
    if (cursor === undefined || found.length >= longestStory) return { ...page, body: found };
  }
}

export const shop = {
  sandbox: () => settle(http.GET('/v1/sandboxes/current')),
  resetSandbox: () => settle(http.POST('/v1/sandboxes/current/reset')),
  eventTypes: () => settle(http.GET('/v1/event-types')),
  rows: (payment_id?: string) =>
    settle(http.GET('/v1/rows', { params: { query: { payment_id } } })),
  activity: allActivity,
  catalogue: () => settle(http.GET('/v1/catalogue')),
  audit: () => settle(http.GET('/v1/audit')),
  placeOrder: (body: NewOrder, key: string, signal: AbortSignal) =>
    settle(http.POST('/v1/orders', { params: { header: withKey(key) }, body, signal }), signal),
  order: (order_id: string, signal?: AbortSignal) =>
    settle(http.GET('/v1/orders/{order_id}', { params: { path: { order_id } }, signal }), signal),
  payments: () => settle(http.GET('/v1/payments', { params: { query: { limit: 1 } } })),
  undecided: (signal: AbortSignal) =>
    settle(
      http.GET('/v1/payments', { params: { query: { undecided: true, limit: 100 } }, signal }),
      signal,
    ),
  payment: (payment_id: string, signal?: AbortSignal) =>
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
  record: (payment_id: string) =>
    settle(http.POST('/v1/payments/{payment_id}/recording', { params: { path: { payment_id } } })),
  recording: (recording_id: string) =>
    settle(http.GET('/v1/recordings/{recording_id}', { params: { path: { recording_id } } })),
  refunds: (payment_id: string) =>
    settle(http.GET('/v1/refunds', { params: { query: { payment_id, limit: 20 } } })),
  saga: (refund_id: string) =>
    settle(http.GET('/v1/refunds/{refund_id}/saga', { params: { path: { refund_id } } })),
  requestRefund: (body: NewRefund, key: string, signal: AbortSignal) =>
    settle(http.POST('/v1/refunds', { params: { header: withKey(key) }, body, signal }), signal),
  checkIn: (ticket_id: string) =>
    settle(http.POST('/v1/tickets/{ticket_id}/check-in', { params: { path: { ticket_id } } })),
  sagas: () => settle(http.GET('/v1/ops/sagas', { params: { query: { limit: 20 } } })),
  alerts: () => settle(http.GET('/v1/ops/alerts', { params: { query: { limit: 20 } } })),
  queues: () => settle(http.GET('/v1/ops/queues')),
  processes: () => settle(http.GET('/v1/processes')),
  deadLetters: () => settle(http.GET('/v1/ops/dead-letters', { params: { query: { limit: 20 } } })),
  deadLetter: (letter_id: string) =>
    settle(http.GET('/v1/ops/dead-letters/{letter_id}', { params: { path: { letter_id } } })),
  decideLetter: (letter_id: string, action: DeadLetterAction, reason: string) => {
    const verb = action === 'take_back' ? 'take-back' : action;
    return settle(
      http.POST(`/v1/ops/dead-letters/{letter_id}/${verb}`, {
        params: { path: { letter_id } },
        body: { reason },
      }),
    );
  },
  resolvePayment: (payment_id: string, body: PaymentDecision) =>
    settle(
      http.POST('/v1/ops/payments/{payment_id}/resolve', {
        params: { path: { payment_id } },
        body,
      }),
    ),
  resolveAlert: (alert_id: string, reason: string) =>
    settle(
      http.POST('/v1/ops/alerts/{alert_id}/resolve', {
        params: { path: { alert_id } },
        body: { reason },
      }),
    ),
  sendAlertMail: (alert_id: string, reason: string) =>
    settle(
      http.POST('/v1/ops/alerts/{alert_id}/send-mail', {
        params: { path: { alert_id } },
        body: { reason },
      }),
    ),
  retrySaga: (saga_id: string) =>
    settle(http.POST('/v1/ops/sagas/{saga_id}/retry', { params: { path: { saga_id } } })),
  resolveSaga: (saga_id: string, body: SagaResolution) =>
    settle(http.POST('/v1/ops/sagas/{saga_id}/resolve', { params: { path: { saga_id } }, body })),
};

/** The part of the API that only a lab build has; elsewhere these answer 404. */
export const lab = {
  mailbox: () => settle(labHttp.GET('/v1/lab/mailbox')),
  parts: () => settle(labHttp.GET('/v1/lab/parts')),
  killPart: (name: string) =>
    settle(labHttp.POST('/v1/lab/parts/{name}/kill', { params: { path: { name } } })),
  burst: (body: BurstRequest) => settle(labHttp.POST('/v1/lab/bursts', { body })),
  killAfterCharge: (payment_id: string) =>
    settle(
      labHttp.POST('/v1/lab/faults', {
        body: { point: 'capture.after_charge', action: 'kill', payment_id },
      }),
    ),
  lessons: () => settle(labHttp.GET('/v1/lab/lessons')),
  lesson: (slug: string) =>
    settle(labHttp.GET('/v1/lab/lessons/{slug}', { params: { path: { slug } } })),
  runLesson: (slug: string, body: LessonRunRequest) =>
    settle(labHttp.POST('/v1/lab/lessons/{slug}/runs', { params: { path: { slug } }, body })),
  lessonRuns: () => settle(labHttp.GET('/v1/lab/lesson-runs')),
  lessonRun: (run_id: string) =>
    settle(labHttp.GET('/v1/lab/lesson-runs/{run_id}', { params: { path: { run_id } } })),
  explain: () => settle(labHttp.GET('/v1/lab/explain')),
  guards: () => settle(labHttp.GET('/v1/lab/guards')),
  tryGuard: (slug: Guard['slug'], on: boolean) =>
    settle(
      labHttp.POST('/v1/lab/guards/{slug}/trials', { params: { path: { slug } }, body: { on } }),
    ),
  compare: (body: CompareRequest) => settle(labHttp.POST('/v1/lab/compare', { body })),
  naiveBill: (id: string) =>
    settle(labHttp.GET('/v1/lab/naive/checkouts/{id}/bill', { params: { path: { id } } })),
};
