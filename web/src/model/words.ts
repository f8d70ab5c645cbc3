import type { Waiting } from '../api/patient';
import { duration } from './time';

/** Says in plain words what the page does while there is no outcome yet. */
export function waitingWords(waiting: Waiting): string {
  const pause = `in ${duration(waiting.inMs)}`;
  switch (waiting.why) {
    case 'silence':
      return `No answer came back. Asking again with the same key ${pause} (try ${waiting.again + 1}).`;
    case 'busy':
      return `${busyWords(waiting.status)} Asking again with the same key ${pause} (try ${waiting.again + 1}).`;
    case 'doubt':
      return `The provider did not answer, so the charge is in doubt. The shop is finding out; looking again ${pause}.`;
  }
}

function busyWords(status: number): string {
  if (status === 409) return 'An earlier attempt still holds this key.';
  return status === 429 ? 'Too many requests at once.' : 'The shop could not finish.';
}

/** What a screen reader is told: the wait if there is one, else the verdict. */
export function spoken(verdict: string | null, waiting: Waiting | null, busy: number): string {
  if (waiting !== null) return waitingWords(waiting);
  if (busy > 0) return busy === 1 ? 'One click under way.' : `${busy} clicks under way.`;
  return verdict ?? '';
}
