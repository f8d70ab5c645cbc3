import type { Route } from '../model/route';
import type { Settings } from '../view/setting.svelte';
import type { Visit } from '../view/visit.svelte';

/** What every page is given. */
export interface PageProps {
  visit: Visit;
  settings: Settings;
  /** The time of the page, once a second. */
  now: number;
  route: Route;
  /** True while a drawer or a sheet is open: keys are not for the page then. */
  busyElsewhere: boolean;
}
