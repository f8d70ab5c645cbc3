export type Action = 'pay' | 'burst' | 'compare' | 'notes' | 'projector' | 'keys';

const letters: Record<string, Action> = {
  b: 'burst',
  c: 'compare',
  n: 'notes',
  p: 'projector',
  '?': 'keys',
};

interface Press {
  key: string;
  repeat: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  target: EventTarget | null;
}

/**
 * What a key means, or nothing. The space bar on a control presses that control,
 * and a letter in a field is text; a letter on a button has no other meaning.
 */
export function actionOf(press: Press, letterKeys: boolean): Action | null {
  if (press.repeat || press.ctrlKey || press.metaKey || press.altKey) return null;
  if (press.key === ' ') return within(press.target, controls) ? null : 'pay';
  if (!letterKeys || within(press.target, fields)) return null;
  return letters[press.key.toLowerCase()] ?? null;
}

/** What a key does to the scrubber: steps, the ends, or play. */
export type Scrub = { step: number } | { to: 'start' | 'end' } | 'play';

interface ScrubPress extends Press {
  shiftKey: boolean;
}

/**
 * Arrows step one event, with Shift ten; the full stop, which the remote of a
 * presenter sends, plays. A button that has the focus leaves these keys alone,
 * what has a use for them keeps them: fields, lists that scroll, open sheets.
 */
export function scrubOf(press: ScrubPress, letterKeys: boolean): Scrub | null {
  if (press.ctrlKey || press.metaKey || press.altKey || keepsArrows(press.target)) return null;
  const far = press.shiftKey ? 10 : 1;
  switch (press.key) {
    case 'ArrowLeft':
      return { step: -far };
    case 'ArrowRight':
      return { step: far };
    case 'Home':
      return { to: 'start' };
    case 'End':
      return { to: 'end' };
    case '.':
      return letterKeys && !press.repeat ? 'play' : null;
    default:
      return null;
  }
}

function keepsArrows(target: EventTarget | null): boolean {
  const element = target as Partial<Element> | null;
  const users =
    'input:not([data-scrub]), select, textarea, dialog, [contenteditable], [role=region]';
  return element?.closest?.(users) != null;
}

const controls = 'a, button, input, select, textarea, summary, [contenteditable], [tabindex]';
const fields = 'input:not([type="radio"], [type="checkbox"]), select, textarea, [contenteditable]';

function within(target: EventTarget | null, selector: string): boolean {
  return (target as Partial<Element> | null)?.closest?.(selector) != null;
}
