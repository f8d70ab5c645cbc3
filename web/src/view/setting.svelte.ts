type Theme = 'auto' | 'light' | 'dark';

const widest = '(min-width: 1600px)';
const lessMotion = '(prefers-reduced-motion: reduce)';
const darkSystem = '(prefers-color-scheme: dark)';

/** What the visitor chose about looks and keys. Kept in this browser only. */
export class Settings {
  theme = $state<Theme>('auto');
  #systemDark = $state(matchMedia(darkSystem).matches);
  /** Null follows the width of the window. */
  #projectorChoice = $state<boolean | null>(null);
  #wide = $state(matchMedia(widest).matches);
  letterKeys = $state(true);
  calm = $state(matchMedia(lessMotion).matches);
  projector = $derived(this.#projectorChoice ?? this.#wide);
  /** What is seen now: the choice, or what the system says, which may change at dusk. */
  dark = $derived(this.theme === 'auto' ? this.#systemDark : this.theme === 'dark');

  constructor() {
    const theme = localStorage.getItem('payonce.theme');
    if (theme === 'light' || theme === 'dark') this.theme = theme;
    this.letterKeys = localStorage.getItem('payonce.keys') !== 'off';
    matchMedia(widest).addEventListener('change', (e) => (this.#wide = e.matches));
    matchMedia(darkSystem).addEventListener('change', (e) => (this.#systemDark = e.matches));
    matchMedia(lessMotion).addEventListener('change', (e) => (this.calm = e.matches));
  }

  /** What the toggle leads to: always the other one of what is seen now. */
  toggleTheme(): void {
    this.theme = this.dark ? 'light' : 'dark';
    localStorage.setItem('payonce.theme', this.theme);
  }

  toggleProjector(): void {
    this.#projectorChoice = !this.projector;
  }

  toggleLetterKeys(): void {
    this.letterKeys = !this.letterKeys;
    localStorage.setItem('payonce.keys', this.letterKeys ? 'on' : 'off');
  }
}
