import { expect, test } from 'vitest';
import type { Activity } from '../api/shapes';
import { tellStory } from './story';

const event = (rest: Partial<Activity>): Activity => ({
  id: '1',
  at: '2026-01-01T00:00:00.000Z',
  kind: 'claimed',
  node: 'api',
  ...rest,
});

test('a story is told in the order of its events, in plain words', () => {
  const lines = tellStory([
    event({ kind: 'attempt.received', operation: 'capture', key_suffix: '9f3c' }),
    event({ kind: 'charge.answered', node: 'provider', detail: 'no answer' }),
    event({ kind: 'delivered', node: 'ledger', type: 'payment.captured', attempt: 2 }),
    event({ kind: 'absorbed', node: 'ledger', type: 'payment.captured' }),
  ]);
  expect(lines.map((line) => [line.who, line.text, line.tone])).toEqual([
    ['The API', 'A request to pay arrived (key …9f3c).', 'plain'],
    [
      'The provider’s part',
      'No answer came back: it was unknown whether the card was charged.',
      'open',
    ],
    ['The ledger', 'got “payment.captured” again, delivery 2.', 'plain'],
    ['The ledger', 'knew “payment.captured” already and did nothing twice.', 'absorbed'],
  ]);
});

test('a death is told: who had begun, who took over, what the provider said when asked', () => {
  const capture = { operation: 'capture', key_suffix: '9f3c', attempt: 1 };
  const lines = tellStory([
    event({ kind: 'interrupted', ...capture }),
    event({ kind: 'claimed', detail: 'recovery', ...capture }),
    event({ kind: 'charge.sent', detail: 'recovery', ...capture }),
    event({ kind: 'charge.answered', node: 'provider', detail: 'succeeded', ...capture }),
    event({ kind: 'recovered', ...capture }),
  ]);
  expect(lines.map((line) => line.text)).toEqual([
    'A request to pay (key …9f3c) had begun as attempt 1; its process ended before it wrote down what came of it.',
    'Another took over attempt 1, which had no holder any more.',
    'The provider was asked what had become of the charge.',
    'The provider answered: succeeded.',
    'The request that finished it got the answer.',
  ]);
});

test('a kind that nobody has put into words is shown as it is', () => {
  const odd = event({ kind: 'something.new' as Activity['kind'] });
  expect(tellStory([odd])[0]?.text).toBe('something.new');
});
