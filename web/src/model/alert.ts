import type { Alert } from '../api/shapes';

const words: Record<string, string> = {
  saga_stuck: 'A refund is stuck',
  dead_letter: 'A message could not be applied',
  provider_contradiction: 'The provider contradicts what is stored',
  refund_contradiction: 'The provider contradicts a refund',
  provider_amount: 'The provider speaks of another amount',
  provider_refused: 'The provider rejects a request',
  provider_in_doubt: 'A charge has been in doubt for a day',
  provider_unlisted: "The provider's charges cannot be listed to their end",
  provider_unknown_charge: 'The provider names a charge nobody asked for',
  ticket_used: 'An order was refunded at the provider after a ticket was used',
  provider_unknown_refund: 'The provider names a refund nobody asked for',
  webhook_altered: 'A webhook came again with another content',
  webhook_unreadable: 'A webhook cannot be read',
  mail_late: 'A mail is late',
  mail_failed: 'A mail was refused',
  mail_server_away: 'No mail can be sent',
  unroutable: 'An event has no queue',
  refused: 'The broker refuses an event',
  retry_unroutable: 'A retry has no queue',
  outbox_age: 'Old events are still unpublished',
  queue_replicas: 'Queues may lack replicas',
  event_not_applied: 'Published events were not applied',
  partition_missing: 'A day has no partition',
  partition_kept: 'An old partition cannot be dropped',
};

/** An alert's kind for people; a kind that nobody has put into words is shown as it is. */
export function alertWords(kind: string): string {
  const plain = kind.replaceAll('_', ' ');
  return words[kind] ?? plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** The payment that an alert is about, by its public id; null when it is about something else. */
export function paymentOf(alert: Alert): string | null {
  if (/^pay_[0-9a-f]{32}$/.test(alert.subject)) return alert.subject;
  const named = alert.facts['payment_id'];
  return typeof named === 'string' && /^pay_[0-9a-f]{32}$/.test(named) ? named : null;
}
