import type { Activity } from '../api/shapes';
import { inDoubt } from './script';

/** What an event is to the eye on the scrubber: each has a shape of its own, not a colour alone. */
export type Tick = 'moved' | 'did' | 'absorbed' | 'open' | 'refused';

export const tickNames: Record<Tick, string> = {
  moved: 'on its way',
  did: 'took effect',
  absorbed: 'absorbed',
  open: 'open',
  refused: 'refused',
};

export function tickOf(event: Activity): Tick {
  if (inDoubt(event) || event.detail === 'no answer') return 'open';
  switch (event.kind) {
    case 'claimed':
    case 'recovered':
    case 'committed':
    case 'applied':
    case 'mail.sent':
      return 'did';
    case 'replayed':
    case 'waited':
    case 'matched':
    case 'absorbed':
      return 'absorbed';
    case 'retried':
    case 'returned':
      return 'open';
    case 'rejected':
    case 'dead':
    case 'interrupted':
      return 'refused';
    default:
      return event.type?.endsWith('.failed') === true ? 'refused' : 'moved';
  }
}
