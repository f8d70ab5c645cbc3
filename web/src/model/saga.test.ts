import { describe, expect, test } from 'vitest';
import type { Saga, SagaStep } from '../api/shapes';
import { current, moving, stepWords, tell } from './saga';

const step = (name: string, status: SagaStep['status']): SagaStep => ({
  name,
  direction: 'do',
  status,
  pivot: name === 'refund',
  attempts: status === 'done' ? 1 : 0,
  deadline_at: null,
  started_at: null,
  finished_at: null,
  error: null,
});

const waiting: Saga = {
  id: 'saga_1',
  state: 'waiting',
  refund_id: 'ref_1',
  payment_id: 'pay_1',
  failure: null,
  decision: null,
  resolved_by: null,
  resolved_reason: null,
  created_at: '2026-01-01T00:00:00Z',
  finished_at: null,
  steps: [
    step('hold_funds', 'done'),
    step('void_tickets', 'waiting'),
    step('refund', 'pending'),
    step('settle', 'pending'),
  ],
};

describe('a refund that waits for an earlier one', () => {
  test('says at which step, and for what', () => {
    expect(current(waiting)).toBe('Void the tickets');
    expect(tell(waiting)).toEqual({
      tone: 'open',
      sentence:
        'Waiting at “Void the tickets”: what is left is known when the earlier refunds have ended.',
    });
    expect(waiting.steps.map((one) => stepWords(one, 0))).toContain(
      'waiting for the earlier refunds',
    );
  });

  test('is read again, for it goes on without a person', () => {
    expect(moving(waiting)).toBe(true);
    expect(moving({ ...waiting, state: 'stuck' })).toBe(false);
  });
});
