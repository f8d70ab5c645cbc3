import type { Activity } from '../api/shapes';
import type { Place } from './place';
import { script, type Origin, type Script, type Style } from './script';

/**
 * The clock of the drawing. A real capture is over before an eye sees it, so
 * events are played one hop after another, each hop long enough to follow, and
 * the drawing may fall behind; beyond `limit` it merges tokens into counts
 * instead of falling further. No event, no motion: everything drawn was pushed.
 */
export interface Pace {
  hop: number;
  limit: number;
}

export const pace: Pace = { hop: 300, limit: 3_000 };
export const projectorPace: Pace = { hop: 600, limit: 3_000 };

/** Beyond this many on screen, tokens become counts. */
const mostTokens = 30;
/** Beyond this many on one way, they become a pile. */
const mostAlike = 5;
/** Two tokens of one way start at least this far apart, so that both are seen. */
const stagger = 90;

export interface DrawnToken {
  id: number;
  label: string;
  /** The stored event that is drawn, or those of a pile. */
  events: readonly string[];
  count: number;
  style: Style;
  from: Place;
  to: Place;
  /** 0 at `from`, 1 at `to`. */
  along: number;
  /** How long it has been resting at its end; null while it moves. */
  resting: number | null;
}

export interface Drawing {
  tokens: DrawnToken[];
  flashes: { place: Place; style: Style }[];
  caption: string;
  behind: number;
  waiting: number;
  still: boolean;
}

interface Token {
  id: number;
  /** The lanes it stands for: more than one makes it a counted pile. */
  lanes: Set<string>;
  events: string[];
  script: Script;
  start: number;
  end: number;
  arrived: number;
}

interface Flash {
  place: Place;
  style: Style;
  start: number;
  end: number;
}

export class Flow {
  #queue: { script: Script; arrived: number }[] = [];
  #tokens: Token[] = [];
  #flashes: Flash[] = [];
  #busy = new Map<string, number>();
  #nextId = 1;
  #caption = '';
  #pausedAt: number | null = null;
  #stoodStill = 0;

  constructor(public pace: Pace = pace) {}

  push(event: Activity, origin: Origin, now: number, number: number | null = null): void {
    const found = script(event, origin, number);
    if (found !== null) this.#queue.push({ script: found, arrived: now });
  }

  get paused(): boolean {
    return this.#pausedAt !== null;
  }

  pause(now: number): void {
    this.#pausedAt ??= now;
  }

  resume(now: number): void {
    if (this.#pausedAt === null) return;
    this.#stoodStill += now - this.#pausedAt;
    this.#pausedAt = null;
  }

  clear(): void {
    this.#queue = [];
    this.#tokens = [];
    this.#flashes = [];
    this.#busy.clear();
    this.#caption = '';
  }

  /** Starts what may start and says where everything is at this moment. */
  frame(now: number): Drawing {
    const time = (this.#pausedAt ?? now) - this.#stoodStill;
    if (!this.paused) this.#startAll(time, now);
    this.#tokens = this.#tokens.filter((token) => time <= token.end + token.script.rest);
    this.#flashes = this.#flashes.filter((flash) => time <= flash.end);
    return {
      tokens: this.#tokens.map((token) => this.#draw(token, time)),
      flashes: this.#flashes.filter((flash) => time >= flash.start),
      caption: this.#caption,
      behind: this.#behind(time, now),
      waiting: this.#queue.length,
      still: this.#queue.length + this.#tokens.length + this.#flashes.length === 0,
    };
  }

  /**
   * Walks the queue in order. An event that must wait keeps its lanes for
   * itself, so that no later event of the same lane overtakes it.
   */
  #startAll(time: number, now: number): void {
    const kept = new Set<string>();
    this.#queue = this.#queue.filter(({ script: next, arrived }) => {
      const late = now - arrived > this.pace.limit - this.#length(next);
      const free = next.needs.every((lane) => !kept.has(lane) && this.#isFree(lane, time));
      const pile = free || late ? this.#pileFor(next, time, late) : undefined;
      if (pile !== undefined) {
        this.#join(pile, next, time);
        return false;
      }
      if (late || (free && this.#isFree(wayOf(next), time))) {
        this.#start(next, time, arrived);
        return false;
      }
      for (const lane of next.needs) kept.add(lane);
      return true;
    });
  }

  #isFree(lane: string, time: number): boolean {
    return (this.#busy.get(lane) ?? -Infinity) <= time;
  }

  /** The token that a further one of its kind should join instead of being drawn. */
  #pileFor(next: Script, time: number, late: boolean): Token | undefined {
    const alike = this.#tokens.filter((token) => wayOf(token.script) === wayOf(next));
    const crowded = alike.length >= mostAlike || this.#tokens.length >= mostTokens;
    const last = alike.at(-1);
    if (crowded) return last;
    return late && last !== undefined && last.end > time ? last : undefined;
  }

  #join(pile: Token, next: Script, time: number): void {
    this.#leave(next);
    pile.lanes.add(next.lane);
    pile.events.push(next.event);
    this.#busy.set(next.lane, Math.max(pile.end, time + this.pace.hop));
    this.#caption = next.caption;
  }

  #start(next: Script, time: number, arrived: number): void {
    this.#leave(next);
    const end = time + this.#length(next);
    this.#tokens.push({
      id: this.#nextId++,
      lanes: new Set([next.lane]),
      events: [next.event],
      script: next,
      start: time,
      end,
      arrived,
    });
    this.#busy.set(next.lane, Math.max(end, time + this.pace.hop));
    if (next.route.length > 1) this.#busy.set(wayOf(next), time + stagger);
    if (next.flash !== null) {
      const arrival = next.flash === 'tray' ? time + this.pace.hop : end;
      this.#flashes.push({
        place: next.flash,
        style: next.style,
        start: arrival,
        end: arrival + 700,
      });
    }
    this.#caption = next.caption;
  }

  /** Whoever rested in one of these lanes has moved on. */
  #leave(next: Script): void {
    const from = new Set([next.lane, ...next.needs.filter((lane) => lane.startsWith('try:'))]);
    for (const token of this.#tokens) {
      for (const lane of from) token.lanes.delete(lane);
    }
    this.#tokens = this.#tokens.filter((token) => token.lanes.size > 0);
  }

  #length(of: Script): number {
    return (of.route.length - 1) * this.pace.hop;
  }

  #draw(token: Token, time: number): DrawnToken {
    const { route, label, style } = token.script;
    const legs = Math.max(1, route.length - 1);
    const done =
      token.end === token.start ? legs : ((time - token.start) / (token.end - token.start)) * legs;
    const leg = Math.min(legs - 1, Math.floor(done));
    const from = route[leg] ?? 'api';
    return {
      id: token.id,
      label,
      style,
      events: token.events,
      count: token.lanes.size,
      from,
      to: route[leg + 1] ?? from,
      along: ease(Math.min(1, done - leg)),
      resting: time > token.end ? time - token.end : null,
    };
  }

  #behind(time: number, now: number): number {
    const first = this.#queue[0];
    if (first !== undefined) return now - first.arrived;
    const moving = this.#tokens.filter((token) => token.end > time);
    return moving.length === 0 ? 0 : now - Math.max(...moving.map((token) => token.arrived));
  }
}

const wayOf = (of: Script) => `way:${of.route.join('>')}:${of.style}`;

const ease = (x: number) => (x < 0.5 ? 2 * x * x : 1 - (-2 * x + 2) ** 2 / 2);
