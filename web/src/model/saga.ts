import type { Saga, SagaResolution, SagaStep } from '../api/shapes';

/** A stop of the track: the step and, where there is one, what takes it back. */
export interface Stop {
  name: string;
  does: string;
  by: string;
  pivot: boolean;
  forward: SagaStep;
  undoes: string | null;
  back: SagaStep | null;
}

const known: Record<string, { does: string; undoes: string | null; by: string }> = {
  hold_funds: { does: 'Hold the amount', undoes: 'Release the hold', by: 'Ledger' },
  void_tickets: { does: 'Void the tickets', undoes: 'Reinstate the tickets', by: 'Tickets' },
  refund: { does: 'Give the money back', undoes: null, by: 'Provider' },
  settle: { does: 'Book it', undoes: null, by: 'Ledger' },
};

/** How a person may say that a stuck saga ended. */
export type SagaEnd = SagaResolution['outcome'];

/** Whoever decides about a stuck saga, and reads it again afterwards. */
export interface Decider {
  retry: (saga: Saga) => Promise<void>;
  resolve: (saga: Saga, outcome: SagaEnd, reason: string) => Promise<boolean>;
}

const plain = (code: string): string => code.replaceAll('_', ' ');

export function stops(saga: Saga): Stop[] {
  const back = new Map(
    saga.steps.filter((step) => step.direction === 'undo').map((step) => [step.name, step]),
  );
  return saga.steps
    .filter((step) => step.direction === 'do')
    .map((forward) => {
      const words = known[forward.name];
      return {
        name: forward.name,
        does: words?.does ?? plain(forward.name),
        by: words?.by ?? '',
        pivot: forward.pivot,
        forward,
        undoes: words?.undoes ?? null,
        back: back.get(forward.name) ?? null,
      };
    });
}

/** True while something can still happen without a person. */
export const moving = (saga: Saga): boolean =>
  saga.state === 'running' || saga.state === 'waiting' || saga.state === 'compensating';

export type Tone = 'done' | 'back' | 'open' | 'stuck';

export interface Summary {
  sentence: string;
  tone: Tone;
}

/** The refund in one sentence, in words that a buyer would understand. */
export function tell(saga: Saga): Summary {
  const why = saga.failure === null ? '' : `: ${plain(saga.failure)}`;
  const at = current(saga);
  const where = at === null ? '' : ` at “${at}”`;
  if (saga.decision?.state === 'pending') {
    const end = saga.decision.outcome === 'completed' ? 'done' : 'taken back';
    return {
      tone: 'stuck',
      sentence: `A person marked it as ${end}. Pending: ${saga.decision.found ?? ''}`,
    };
  }
  if (saga.state === 'stuck' && saga.decision?.state === 'refused') {
    return {
      tone: 'stuck',
      sentence: `Stuck${where}. A decision was refused: ${saga.decision.found ?? ''}.`,
    };
  }
  if (saga.resolved_by !== null) {
    const end = saga.state === 'completed' ? 'done' : 'taken back';
    return {
      tone: saga.state === 'completed' ? 'done' : 'back',
      sentence: `A person marked it as ${end}: ${saga.resolved_reason ?? ''}`,
    };
  }
  switch (saga.state) {
    case 'completed':
      return { tone: 'done', sentence: 'The money went back once.' };
    case 'compensated':
      return {
        tone: 'back',
        sentence: `Refused${why}. Nothing was refunded, and everything done before was taken back.`,
      };
    case 'compensating':
      return {
        tone: 'back',
        sentence: `Refused${why}. Taking back what was done, the last first.`,
      };
    case 'stuck':
      return { tone: 'stuck', sentence: `Stuck${where}. A person has to look.` };
    case 'waiting':
      return {
        tone: 'open',
        sentence: `Waiting${where}: what is left is known when the earlier refunds have ended.`,
      };
    case 'running':
      return {
        tone: 'open',
        sentence: pivotDone(saga)
          ? 'The money is on its way back; from here it only goes forward.'
          : 'Under way. Until the pivot everything can be taken back.',
      };
  }
}

/** The step that is waited for, in words; null when none is. */
export function current(saga: Saga): string | null {
  for (const stop of stops(saga)) {
    if (stop.back?.status === 'started') return stop.undoes ?? stop.does;
    if (stop.forward.status === 'started' || stop.forward.status === 'waiting') return stop.does;
  }
  return null;
}

export const pivotDone = (saga: Saga): boolean =>
  saga.steps.some((step) => step.pivot && step.status === 'done');

/** What is known of one step, under its name. */
/** What is known of a way back that was never begun. */
export function idleBack(saga: Saga): string {
  if (saga.state === 'completed') return 'was not needed';
  return saga.state === 'compensated' ? 'nothing to take back' : 'only if it fails';
}

export function stepWords(step: SagaStep, now: number): string {
  const sent = step.attempts > 1 ? `, asked ${step.attempts} times` : '';
  switch (step.status) {
    case 'done':
      return `done${took(step)}${sent}`;
    case 'skipped':
      return 'not needed';
    case 'failed':
      return `refused${step.error === null ? '' : `: ${plain(step.error)}`}`;
    case 'waiting':
      return 'waiting for the earlier refunds';
    case 'started':
      return `waiting for an answer${sent}${deadline(step, now)}`;
    case 'pending':
      return step.direction === 'undo' ? 'only if it fails' : 'not begun';
  }
}

function took(step: SagaStep): string {
  if (step.started_at === null || step.finished_at === null) return '';
  const ms = Date.parse(step.finished_at) - Date.parse(step.started_at);
  return ms < 1000 ? ` in ${Math.max(0, Math.round(ms))} ms` : ` in ${(ms / 1000).toFixed(1)} s`;
}

/** A passed deadline asks again; it never assumes an outcome. */
function deadline(step: SagaStep, now: number): string {
  if (step.deadline_at === null) return '';
  const left = Math.ceil((Date.parse(step.deadline_at) - now) / 1000);
  return left > 0 ? `, asks again in ${left} s` : ', asking what became of it';
}
