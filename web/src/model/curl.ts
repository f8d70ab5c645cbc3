/** A command for whoever doubts what the page says: it asks the shop without the page. */
export function proofCommand(origin: string, paymentId: string, apiKey: string): string {
  return `curl -s -H 'Authorization: Bearer ${apiKey}' ${origin}/v1/payments/${paymentId}/proof`;
}

/** And one that asks the card provider instead of the shop. */
export function providerCommand(mailboxUrl: string, paymentId: string): string {
  const url = new URL('/v1/charges', mailboxUrl);
  url.searchParams.set('reference', paymentId);
  return `curl -s '${url.href}'`;
}
