import { browserStorage } from './storage.svelte';

type Theme = 'auto' | 'light' | 'dark';

const lessMotion = '(prefers-reduced-motion: reduce)';
const darkSystem = '(prefers-color-scheme: dark)';

/** What the visitor chose about looks and keys. Kept in this browser only. */
export class Settings {
  theme = $state<Theme>('auto');
  #systemDark = $state(matchMedia(darkSystem).matches);
  letterKeys = $state(true);
  calm = $state(matchMedia(lessMotion).matches);
  /** Hides lists, so it is chosen and never follows the width of the window. */
  projector = $state(false);
  /** What is seen now: the choice, or what the system says, which may change at dusk. */
  dark = $derived(this.theme === 'auto' ? this.#systemDark : this.theme === 'dark');

  constructor() {
    const theme = browserStorage.getItem('payonce.theme');
    if (theme === 'light' || theme === 'dark') this.theme = theme;
    this.letterKeys = browserStorage.getItem('payonce.keys') !== 'off';
    this.projector = browserStorage.getItem('payonce.projector') === 'on';
    matchMedia(darkSystem).addEventListener('change', (e) => (this.#systemDark = e.matches));
    matchMedia(lessMotion).addEventListener('change', (e) => (this.calm = e.matches));
  }

  /** What the toggle leads to: always the other one of what is seen now. */
  toggleTheme(): void {
    this.theme = this.dark ? 'light' : 'dark';
    browserStorage.setItem('payonce.theme', this.theme);
  }

  toggleProjector(): void {
    this.projector = !this.projector;
    browserStorage.setItem('payonce.projector', this.projector ? 'on' : 'off');
  }

  toggleLetterKeys(): void {
    this.letterKeys = !this.letterKeys;
    browserStorage.setItem('payonce.keys', this.letterKeys ? 'on' : 'off');
  }
}
