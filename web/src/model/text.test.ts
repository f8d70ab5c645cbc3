import { describe, expect, test } from 'vitest';
import { proofCommand, providerCommand } from './curl';
import { fateOf, tally, total } from './fate';
import { actionOf, scrubOf } from './key';
import { amountExample, amountOf, money } from './money';
import { Numbering, originOf } from './origin';
import { absorbedWords, arrived, chain } from './proof';
import { proof } from './proof.example';
import { clock, day, duration, relative } from './time';
import { spoken, waitingWords } from './words';

describe('money', () => {
  test('8400 cents are written as each language writes them', () => {
    expect(money(8400, 'EUR', 'en-IE')).toBe('€84.00');
    expect(money(8400, 'EUR', 'de-DE')).toBe('84,00\u00a0€');
  });

  test('yen have 0 decimal places, dinars 3', () => {
    expect(money(8400, 'JPY', 'en-US')).toBe('¥8,400');
    expect(money(8400, 'KWD', 'en-US')).toContain('8.400');
  });

  test('forints have the 2 digits that the shop counts, not the 0 that a browser writes', () => {
    expect(money(8400, 'HUF', 'en-US')).toContain('84.00');
  });

  test('what is typed is read with the digits of its currency', () => {
    for (const [typed, currency, minor] of [
      ['42', 'EUR', 4_200],
      ['12,3', 'EUR', 1_230],
      ['42', 'JPY', 42],
      ['42.5', 'JPY', undefined],
      ['42', 'KWD', 42_000],
      ['12.345', 'KWD', 12_345],
      ['12.345', 'EUR', undefined],
      ['0', 'JPY', undefined],
      ['', 'JPY', null],
    ] as const) {
      expect(amountOf(typed, currency), `${typed} ${currency}`).toBe(minor);
    }
  });

  test('the example of an amount is one that is taken, whatever the currency', () => {
    for (const currency of ['EUR', 'JPY', 'KWD', 'CLF']) {
      for (const typed of amountExample(currency).split(' or ')) {
        expect(amountOf(typed, currency), `${typed} ${currency}`).toBeGreaterThan(0);
      }
    }
  });

  test('an amount that is shown can be typed again: 0, 2, 3 and 4 digits', () => {
    for (const currency of ['JPY', 'EUR', 'KWD', 'CLF']) {
      const shown = money(123_456, currency, 'en-US').replace(/[^\d.]/g, '');
      expect(amountOf(shown, currency), shown).toBe(123_456);
    }
  });
});

describe('time', () => {
  const now = Date.parse('2026-11-23T20:00:00.000Z');
  test('1 second ago is now, 90 seconds ago is 1 minute, and the future is now', () => {
    expect(relative('2026-11-23T19:59:59.000Z', now, 'en')).toBe('now');
    expect(relative('2026-11-23T19:58:30.000Z', now, 'en')).toBe('1 minute ago');
    expect(relative('2026-11-23T20:00:09.000Z', now, 'en')).toBe('now');
    expect(relative('2026-11-20T20:00:00.000Z', now, 'en')).toBe('3 days ago');
  });

  test('31 ms and 2.1 s look different', () => {
    expect(duration(31)).toBe('31 ms');
    expect(duration(2_140)).toBe('2.1 s');
  });

  test('the 12th of March is the 12th everywhere', () => {
    expect(day('2027-03-12', 'en-IE')).toContain('12 March 2027');
  });

  test('the clock shows 3 digits below the second', () => {
    expect(clock('2026-11-23T20:00:00.317Z', 'en')).toMatch(/00:00\.317$/);
  });
});

describe('fates', () => {
  test('are counted one by one and never lumped together', () => {
    expect(tally({ waited: 7, replayed: 12, executed: 1, rejected: 0 })).toBe(
      '1 executed · 12 replayed · 7 waited',
    );
    expect(total({ waited: 7, replayed: 12, executed: 1 })).toBe(20);
  });

  test('an unknown fate is shown under its own name', () => {
    expect(fateOf('teleported').label).toBe('teleported');
  });
});

describe('proof', () => {
  test('5 clicks become 1 charge in one line', () => {
    const counted = proof({ attempts: { executed: 1, replayed: 4 }, broker_deliveries: 9 });
    expect(chain(counted, { clicks: 5, gateway: false })).toBe(
      '5 clicks → 5 HTTP attempts → 9 broker deliveries → 1 charge, 1 balanced ledger transaction, 1 mail, 2 tickets',
    );
  });

  test('each of 4 places that absorbed a twin is named', () => {
    const counted = proof({ absorbed: { key: 4, business_key: 3, inbox: 2, provider: 1 } });
    expect(absorbedWords(counted)).toBe(
      "Twins absorbed: 4 by their key, 3 by the payment itself, 2 by a consumer's inbox, 1 by the provider's key.",
    );
  });

  test('has arrived when nothing expected is missing, and not while 1 mail is', () => {
    expect(arrived(proof())).toBe(true);
    expect(arrived(proof({ effects: { ...proof().effects, mails: 0 } }))).toBe(false);
    expect(arrived(proof({ effects: { ...proof().effects, mails: null } }))).toBe(false);
  });
});

describe('words for waiting', () => {
  test('always say that it is the same key', () => {
    for (const why of ['silence', 'busy'] as const) {
      expect(waitingWords({ why, again: 1, inMs: 300, status: 503 })).toContain('same key');
    }
  });

  test('3 kinds of busy have words of their own', () => {
    const words = [409, 429, 503].map((status) =>
      waitingWords({ why: 'busy', again: 1, inMs: 300, status }),
    );
    expect(new Set(words).size).toBe(3);
    expect(words[0]).toContain('An earlier attempt still holds this key.');
  });

  test('the wait is spoken before the verdict', () => {
    const wait = { why: 'doubt', again: 1, inMs: 1_000 } as const;
    expect(spoken('You were charged once.', wait, 1)).toContain('in doubt');
    expect(spoken('You were charged once.', null, 0)).toBe('You were charged once.');
  });
});

describe('keys of the keyboard', () => {
  const press = (key: string, target: EventTarget | null = null) => ({
    key,
    target,
    repeat: false,
    ctrlKey: false,
    metaKey: false,
    altKey: false,
  });
  const control = { closest: () => ({}) } as unknown as EventTarget;

  test('space pays, unless a control has the focus', () => {
    expect(actionOf(press(' '), true)).toBe('pay');
    expect(actionOf(press(' ', control), true)).toBeNull();
  });

  test('a letter on a button is a key of the page, in a field it is text', () => {
    const only = (matching: string) =>
      ({ closest: (selector: string) => (selector.includes(matching) ? {} : null) }) as never;
    expect(actionOf(press('n', only('button')), true)).toBe('notes');
    expect(actionOf(press('n', only('textarea')), true)).toBeNull();
  });

  test('letters can be switched off, space stays', () => {
    expect(actionOf(press('b'), true)).toBe('burst');
    expect(actionOf(press('b'), false)).toBeNull();
    expect(actionOf(press(' '), false)).toBe('pay');
  });

  test('a key held down is 1 press, and ctrl+p belongs to the browser', () => {
    expect(actionOf({ ...press(' '), repeat: true }, true)).toBeNull();
    expect(actionOf({ ...press('p'), ctrlKey: true }, true)).toBeNull();
  });
});

describe('keys of the scrubber', () => {
  const press = (key: string, more: { shiftKey?: boolean; target?: EventTarget } = {}) => ({
    key,
    target: null,
    repeat: false,
    ctrlKey: false,
    metaKey: false,
    altKey: false,
    shiftKey: false,
    ...more,
  });
  const field = { closest: () => ({}) } as unknown as EventTarget;

  test('arrows step 1, with Shift 10; the full stop plays', () => {
    expect(scrubOf(press('ArrowLeft'), true)).toEqual({ step: -1 });
    expect(scrubOf(press('ArrowRight', { shiftKey: true }), true)).toEqual({ step: 10 });
    expect(scrubOf(press('End'), true)).toEqual({ to: 'end' });
    expect(scrubOf(press('.'), true)).toBe('play');
  });

  test('the full stop can be switched off, and a field keeps its arrows', () => {
    expect(scrubOf(press('.'), false)).toBeNull();
    expect(scrubOf(press('ArrowLeft', { target: field }), true)).toBeNull();
  });
});

describe('attempts of one payment', () => {
  const event = (kind: 'attempt.received' | 'replayed', trace_id: string, node = 'browser') => ({
    id: trace_id + kind,
    at: '',
    kind,
    node,
    trace_id,
  });

  test('are numbered 1, 2 in the order they arrive, and their answers with them', () => {
    const numbering = new Numbering();
    expect(numbering.number(event('attempt.received', 'a'))).toBe(1);
    expect(numbering.number(event('attempt.received', 'b'))).toBe(2);
    expect(numbering.number(event('replayed', 'b'))).toBe(2);
  });

  test('after a reload with 5 old ones the next is number 6', () => {
    const numbering = new Numbering();
    numbering.reset(5);
    expect(numbering.number(event('attempt.received', 'a'))).toBe(6);
  });

  test('come from the gateway when a program sent them, and from the browser otherwise', () => {
    expect(originOf(event('attempt.received', 'a', 'gateway'))).toBe('gateway');
    expect(originOf(event('attempt.received', 'a', 'browser'))).toBe('browser');
  });
});

test('the command for whoever doubts asks shop and provider without the page', () => {
  expect(proofCommand('http://127.0.0.1:8080', 'pay_1', 'sk_test_x')).toBe(
    "curl -s -H 'Authorization: Bearer sk_test_x' http://127.0.0.1:8080/v1/payments/pay_1/proof",
  );
  expect(providerCommand('http://127.0.0.1:9000/mailbox', 'pay_1')).toBe(
    "curl -s 'http://127.0.0.1:9000/v1/charges?reference=pay_1'",
  );
});
