import digits from './currency-digits.json';

/**
 * How many digits a currency has below its unit, as ISO 4217 and the shop count
 * minor units. The browser's own table is about how people write a currency, and
 * differs: forints are written without the two digits that the shop counts.
 */
export const digitsOf = (currency: string): number =>
  (digits as Record<string, number>)[currency] ?? 2;

/** Formats minor units the way the reader's language writes money: €84.00, 84,00 €. */
export function money(minor: number, currency: string, locale?: string): string {
  const places = digitsOf(currency);
  const format = new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  });
  return format.format(minor / 10 ** places);
}

/**
 * What was typed as money, in minor units: "12", "12.3", "12,30" for euros, "42"
 * for yen, which have nothing below. Undefined when it is no amount of the
 * currency; null for nothing typed, which asks for all that is left.
 */
export function amountOf(typed: string, currency: string): number | null | undefined {
  const text = typed.trim();
  if (text === '') return null;
  const places = digitsOf(currency);
  const match = /^(\d{1,8})(?:[.,](\d+))?$/.exec(text);
  const fraction = match?.[2] ?? '';
  if (match === null || fraction.length > places) return undefined;
  const minor = Number(match[1]) * 10 ** places + Number(fraction.padEnd(places, '0') || '0');
  return minor > 0 ? minor : undefined;
}

/** Two amounts as they may be typed, for a person who typed something else: "42 or 12.50", "42 or 1250". */
export function amountExample(currency: string): string {
  const places = digitsOf(currency);
  return places === 0 ? '42 or 1250' : `42 or 12.${'5'.padEnd(places, '0')}`;
}
