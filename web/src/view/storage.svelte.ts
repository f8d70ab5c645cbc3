import type { Store } from '../model/checkout';

/**
 * The only place that touches what the browser keeps for this page. A browser may
 * refuse it (a policy, a frame of another site) or have no room left; then the
 * page goes on with what it holds itself, and `refused` says so. What was kept
 * before stays: an older state of a checkout has the same keys, so it is still
 * the same purchase after a reload.
 */
export class PageStorage implements Store {
  /** True while something that should outlive this page does not. */
  refused = $state(false);
  #unkept = new Map<string, string>();

  constructor(private readonly open: () => Storage) {
    // A getter may be asked where nothing may change, so it is found out here.
    try {
      this.open().setItem(probe, '');
      this.open().removeItem(probe);
    } catch {
      this.refused = true;
    }
  }

  getItem(name: string): string | null {
    const unkept = this.#unkept.get(name);
    if (unkept !== undefined) return unkept;
    try {
      return this.open().getItem(name);
    } catch {
      return null;
    }
  }

  setItem(name: string, value: string): void {
    try {
      this.open().setItem(name, value);
      this.#unkept.delete(name);
    } catch {
      this.#unkept.set(name, value);
    }
    this.refused = this.#unkept.size > 0;
  }

  clear(): void {
    this.#unkept.clear();
    try {
      this.open().clear();
    } catch {
      // What cannot be reached keeps nothing of this page.
    }
  }
}

const probe = 'payonce.probe';

/** For as long as the tab is open: the checkout, the wishes for refunds, the alerts that were seen. */
export const tabStorage = new PageStorage(() => sessionStorage);

/** For all tabs, until the visitor clears it: looks and keys. */
export const browserStorage = new PageStorage(() => localStorage);
