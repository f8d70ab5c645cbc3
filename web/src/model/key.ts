export type Action = 'pay' | 'burst' | 'projector' | 'keys';

const letters: Record<string, Action> = { b: 'burst', p: 'projector', '?': 'keys' };

interface Press {
  key: string;
  repeat: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  target: EventTarget | null;
}

/**
 * What a key means, or nothing. A control that has the focus keeps its keys: the
 * space bar on a button presses that button, a letter in a field is text.
 */
export function actionOf(press: Press, letterKeys: boolean): Action | null {
  if (press.repeat || press.ctrlKey || press.metaKey || press.altKey) return null;
  if (isControl(press.target)) return null;
  if (press.key === ' ') return 'pay';
  return letterKeys ? (letters[press.key.toLowerCase()] ?? null) : null;
}

function isControl(target: EventTarget | null): boolean {
  const element = target as Partial<Element> | null;
  return (
    element?.closest?.(
      'a, button, input, select, textarea, summary, [contenteditable], [tabindex]',
    ) != null
  );
}
