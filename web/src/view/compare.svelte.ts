import { lab } from '../api/client';
import type { CompareRequest, Comparison, Guard, Problem, Trial } from '../api/shapes';
import type { Trials } from '../model/bill';
import { Resource } from './resource.svelte';

/** Nobody answered: said in the form of a problem, so that it is shown like one. */
const silence: Problem = {
  type: 'about:blank',
  title: 'No answer',
  status: 0,
  detail: 'The API is down, or was while this ran. It comes back; try again then.',
  instance: '',
};

/** Both shops side by side, and the shelf of guards. One thing runs at a time. */
export class Compare {
  readonly guards = new Resource<{ data: Guard[] }>(() => lab.guards());
  wish = $state.raw<CompareRequest>({ clicks: 5, keys: 'same', fault: 'none' });
  seen = $state.raw<Comparison | null>(null);
  comparing = $state(false);
  problem = $state.raw<Problem | null>(null);
  trials = $state.raw<Trials>({});
  /** Whose scenario runs, and whether the guard is on in it. */
  trying = $state.raw<{ slug: Guard['slug']; on: boolean } | null>(null);
  trialProblem = $state.raw<{ slug: Guard['slug']; problem: Problem } | null>(null);
  /** A row of trials that goes on until it is through or told to stop. */
  round = $state<'all' | 'all-but' | null>(null);
  readonly busy = $derived(this.comparing || this.trying !== null);
  #gone = false;

  start(): () => void {
    void this.guards.load();
    return () => {
      this.#gone = true;
      this.round = null;
    };
  }

  choose(change: Partial<CompareRequest>): void {
    this.wish = { ...this.wish, ...change };
  }

  async run(): Promise<void> {
    if (this.busy) return;
    this.comparing = true;
    this.problem = null;
    const answer = await lab.compare(this.wish);
    this.comparing = false;
    if (answer.kind === 'ok') this.seen = answer.body;
    else this.problem = answer.kind === 'problem' ? answer.problem : silence;
  }

  /** True when the trial came to its end. */
  async try(slug: Guard['slug'], on: boolean): Promise<boolean> {
    if (this.busy) return false;
    this.trying = { slug, on };
    this.trialProblem = null;
    const answer = await lab.tryGuard(slug, on);
    this.trying = null;
    if (answer.kind === 'ok') {
      this.#know(answer.body);
      return true;
    }
    this.trialProblem = { slug, problem: answer.kind === 'problem' ? answer.problem : silence };
    return false;
  }

  /** All on: eight scenarios, no harm. All but one: the same with each away in its turn. */
  async goRound(preset: 'all' | 'all-but'): Promise<void> {
    if (this.busy) return;
    this.round = preset;
    for (const { slug } of this.guards.data?.data ?? []) {
      const through = await this.try(slug, preset === 'all');
      if (!through || this.round === null || this.#gone) break;
    }
    this.round = null;
  }

  stop(): void {
    this.round = null;
  }

  #know(trial: Trial): void {
    const before = this.trials[trial.guard] ?? [];
    this.trials = { ...this.trials, [trial.guard]: [...before, trial] };
  }
}
