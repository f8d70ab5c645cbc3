import { lab, shop } from '../api/client';
import type { Alert, Audit, Mailbox, Sandbox } from '../api/shapes';
import { Resource } from './resource.svelte';

const auditEvery = 15_000;
const alertsEvery = 5_000;

/** What every page knows of the visitor: whose sandbox it is, whether the promise holds, the mail. */
export class Visit {
  readonly sandbox = new Resource<Sandbox>(() => shop.sandbox());
  readonly audit = new Resource<Audit>(() => shop.audit());
  readonly mailbox = new Resource<Mailbox>(() => lab.mailbox());
  readonly alerts = new Resource<{ data: Alert[]; foreign_open: number }>(() => shop.alerts());
  /** Lab builds have a mailbox to look into, a gateway and faults; production has none. */
  readonly hasLab = $derived(this.mailbox.condition !== 'absent');
  readonly mailboxUrl = $derived(this.mailbox.data?.mailbox_url ?? null);

  /** Returns the function that stops it. */
  start(): () => void {
    void this.sandbox.load();
    void this.audit.load();
    void this.mailbox.load();
    void this.alerts.load();
    const every = (ms: number, resource: Resource<unknown>) =>
      setInterval(() => {
        if (!document.hidden) void resource.load();
      }, ms);
    const ticking = [every(auditEvery, this.audit), every(alertsEvery, this.alerts)];
    return () => ticking.forEach(clearInterval);
  }
}
