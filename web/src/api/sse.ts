/** One server-sent event; `id` is the last one seen, as the standard has it. */
export interface Frame {
  id: string;
  event: string;
  data: string;
}

/**
 * Cuts a byte stream's text into events. A chunk may end anywhere, even inside
 * a line, so the rest of it is kept for the next one.
 */
export class FrameReader {
  #rest = '';
  #id = '';
  #event = '';
  #data: string[] = [];

  push(chunk: string): Frame[] {
    const lines = (this.#rest + chunk).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => this.#line(line)).filter((frame) => frame !== null);
  }

  #line(line: string): Frame | null {
    if (line === '') return this.#finish();
    if (line.startsWith(':')) return null;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'id') this.#id = value;
    if (field === 'event') this.#event = value;
    if (field === 'data') this.#data.push(value);
    return null;
  }

  #finish(): Frame | null {
    const frame = { id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') };
    const empty = this.#data.length === 0 && this.#event === '';
    this.#event = '';
    this.#data = [];
    return empty ? null : frame;
  }
}

/**
 * Remembers the last ids it saw. A resume sends the last ten seconds again, and
 * at-least-once plus dedupe is the product's own lesson.
 */
export class Seen {
  #ids = new Set<string>();

  constructor(private readonly limit = 5_000) {}

  /** True the first time an id comes by. */
  first(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.limit) {
      const oldest = this.#ids.values().next().value;
      if (oldest !== undefined) this.#ids.delete(oldest);
    }
    return true;
  }
}
