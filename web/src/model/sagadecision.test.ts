import { expect, test } from 'vitest';
import type { Saga } from '../api/shapes';
import { tell } from './saga';

const stuck = (decision: Saga['decision']): Saga => ({
  id: 'saga_1',
  state: 'stuck',
  refund_id: 'ref_1',
  payment_id: 'pay_1',
  failure: null,
  resolved_by: null,
  resolved_reason: null,
  decision,
  created_at: '2026-01-01T00:00:00.000Z',
  finished_at: null,
  steps: [],
});

const decided = (state: 'pending' | 'refused', found: string): Saga['decision'] => ({
  outcome: 'compensated',
  state,
  decided_by: 'operator',
  reason: 'called the bank',
  found,
  decided_at: '2026-01-01T00:00:00.000Z',
});

test('a decision that is pending is not shown as one that was carried out', () => {
  expect(tell(stuck(decided('pending', 'it cannot be asked'))).sentence).toBe(
    'A person marked it as taken back. Pending: it cannot be asked',
  );
});

test('a decision that was refused says what was found, and the saga is stuck', () => {
  expect(tell(stuck(decided('refused', 'the money is gone')))).toEqual({
    tone: 'stuck',
    sentence: 'Stuck. A decision was refused: the money is gone.',
  });
});

test('without a decision it is only stuck', () => {
  expect(tell(stuck(null)).sentence).toBe('Stuck. A person has to look.');
});
