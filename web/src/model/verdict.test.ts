import { expect, test } from 'vitest';
import { proof } from './proof.example';
import { verdict } from './verdict';

const mine = (clicks: number, gateway = false) => ({ clicks, gateway });

test('7 clicks and 1 charge are said in one sentence', () => {
  const counted = proof({ attempts: { executed: 1, replayed: 4, waited: 2 } });
  expect(verdict(counted, 'captured', null, mine(7))).toEqual({
    tone: 'paid',
    sentence: 'You clicked 7 times. You were charged once.',
  });
});

test('1 click is said without a number', () => {
  const counted = proof({ attempts: { executed: 1 } });
  expect(verdict(counted, 'captured', null, mine(1)).sentence).toBe(
    'You clicked once. You were charged once.',
  );
});

test('when the browser asked again by itself, 1 click and 3 requests are both said', () => {
  const counted = proof({ attempts: { interrupted: 2, recovered: 1 } });
  expect(verdict(counted, 'captured', null, mine(1)).sentence).toBe(
    '1 click, 3 requests. You were charged once.',
  );
});

test('50 attempts of the gateway are not called clicks of the visitor', () => {
  const counted = proof({ attempts: { executed: 1, replayed: 49 } });
  expect(verdict(counted, 'captured', null, mine(0, true)).sentence).toBe(
    'The gateway tried 50 times. You were charged once.',
  );
});

test('2 charges would be said loudly', () => {
  const counted = proof({ effects: { ...proof().effects, charges: 2 } });
  expect(verdict(counted, 'captured', null, mine(2)).tone).toBe('broken');
});

test('a decline is 0 charges and says why', () => {
  const counted = proof({ effects: { ...proof().effects, charges: 0 } });
  expect(verdict(counted, 'declined', 'insufficient_funds', mine(2)).sentence).toBe(
    'You clicked 2 times. Declined: insufficient funds. You were not charged.',
  );
});

test('in doubt promises nothing, even when 1 charge is seen already', () => {
  expect(verdict(proof(), 'in_doubt', null, mine(2)).tone).toBe('open');
});

test('a count that nobody outside gave is not read as 0', () => {
  const counted = proof({ effects: { ...proof().effects, charges: null } });
  expect(verdict(counted, 'captured', null, mine(2)).sentence).toContain('is silent');
});
