import type { PaymentStatus, Proof } from '../api/shapes';
import { total } from './fate';

/** Who sent the attempts, as far as this tab knows. */
export interface Senders {
  clicks: number;
  gateway: boolean;
}

export interface Verdict {
  sentence: string;
  tone: 'paid' | 'unpaid' | 'open' | 'broken';
}

const times = (n: number) => (n === 1 ? 'once' : `${n} times`);

/**
 * The one sentence of the page. Attempts and charges are counted by the shop's
 * proof, never by the page, which only knows whose fingers they were. Where the
 * two disagree (the browser asked again by itself, a second tab clicked too) the
 * sentence says both instead of choosing one.
 */
export function verdict(
  proof: Proof,
  status: PaymentStatus,
  declineCode: string | null,
  senders: Senders,
): Verdict {
  const { tone, sentence } = outcome(proof, status, declineCode);
  return { tone, sentence: `${who(total(proof.attempts), senders)} ${sentence}` };
}

function who(attempts: number, senders: Senders): string {
  if (senders.gateway) {
    const subject = senders.clicks > 0 ? 'You and the gateway' : 'The gateway';
    return `${subject} tried ${times(attempts)}.`;
  }
  if (attempts === senders.clicks) return `You clicked ${times(attempts)}.`;
  if (attempts > senders.clicks && senders.clicks > 0) {
    const clicks = senders.clicks === 1 ? '1 click' : `${senders.clicks} clicks`;
    return `${clicks}, ${attempts} requests.`;
  }
  return `The shop was asked ${times(attempts)}.`;
}

function outcome(proof: Proof, status: PaymentStatus, declineCode: string | null): Verdict {
  const { charges } = proof.effects;
  if (charges !== null && charges > 1) {
    return {
      tone: 'broken',
      sentence: `You were charged ${times(charges)}. That must never happen.`,
    };
  }
  if (status === 'in_doubt' || status === 'capturing') {
    return {
      tone: 'open',
      sentence: 'Charged? Not known yet.',
    };
  }
  if (charges === null) {
    return {
      tone: 'open',
      sentence: 'The provider is silent.',
    };
  }
  if (charges === 1) return { tone: 'paid', sentence: 'You were charged once.' };
  if (status === 'declined') {
    return {
      tone: 'unpaid',
      sentence: `Declined${reason(declineCode)}. You were not charged.`,
    };
  }
  return { tone: 'unpaid', sentence: 'You were not charged.' };
}

const reason = (code: string | null) => (code === null ? '' : `: ${code.replaceAll('_', ' ')}`);
