import { lab, shop, type Answer } from '../api/client';
import { sleep, untilAnswered } from '../api/patient';
import type {
  Activity,
  Lesson,
  LessonHead,
  LessonRun,
  LessonRunHead,
  Problem,
  Proof,
} from '../api/shapes';
import { forgotten } from '../model/proof';
import { latest, reached, type ShopName } from '../model/lesson';
import { Live } from './live.svelte';
import { Replay } from './replay.svelte';
import { Resource } from './resource.svelte';

/** What a run says is asked for so often while it runs. */
const lookEvery = 400;
const askLimit = 60;
/** Events that may turn out to be of the run's payment, until its id is known. */
const mostHeard = 500;
const proofAfter = 400;

/** One lesson as a visitor goes through it; what he did before is read from his runs. */
export class LessonPlay {
  readonly lesson = new Resource<Lesson>(() => lab.lesson(this.slug));
  readonly list = new Resource<{ data: LessonHead[] }>(() => lab.lessons());
  readonly runs = new Resource<{ data: LessonRunHead[] }>(() => lab.lessonRuns());
  readonly live = new Live(
    (event) => this.#heardOne(event),
    () => void this.#recall(),
    () => void this.#recall(),
  );
  readonly replay = new Replay(this.live);
  proof = $state.raw<Proof | null>(null);

  /** The run that is shown; null before the first, and after "predict again". */
  run = $state.raw<LessonRun | null>(null);
  pick = $state<string | null>(null);
  /** True for somebody who runs it without a prediction. */
  justRun = $state(false);
  /** True while the api gives no answer. It is asked again, for as long as it takes. */
  away = $state(false);
  starting = $state(false);
  problem = $state.raw<Problem | null>(null);
  readonly committed = $derived(this.pick !== null || this.justRun);
  readonly station = $derived(reached(this.committed, this.run));
  readonly running = $derived(this.starting || this.run?.state === 'running');

  #heard: Activity[] = [];
  #watched: string | null = null;
  #stop = new AbortController();
  #following = '';
  #proofTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly slug: string) {}

  start(): () => void {
    const stopLive = this.live.start();
    void this.lesson.load();
    void this.list.load();
    void this.#resume();
    return () => {
      stopLive();
      this.#stop.abort();
      clearTimeout(this.#proofTimer);
    };
  }

  /** After a reload the latest run of this lesson is there again, running or not. */
  async #resume(): Promise<void> {
    await this.runs.load();
    const last = latest(this.runs.data?.data ?? [], this.slug);
    if (last !== null && !this.starting && this.run === null) await this.show(last.id);
  }

  choose(option: string): void {
    this.pick = option;
    this.justRun = false;
  }

  /** Back to the question; the runs that were stay in the books. */
  again(): void {
    if (this.running) return;
    this.run = null;
    this.pick = null;
    this.justRun = false;
    this.problem = null;
    this.#watch(null);
  }

  /** Asked twice for a lesson that runs, the runner answers with that run: asking again is safe. */
  async play(against: ShopName): Promise<void> {
    if (this.running) return;
    this.starting = true;
    this.problem = null;
    this.#watch(null);
    const prediction = this.pick ?? this.run?.prediction ?? null;
    const body = { shop: against, ...(prediction === null ? {} : { prediction }) };
    try {
      const outcome = await untilAnswered(() => lab.runLesson(this.slug, body), {
        signal: this.#stop.signal,
        wait: sleep,
        limit: askLimit,
        onWaiting: (waiting) => (this.away = waiting?.why === 'silence'),
      });
      if (outcome.kind === 'ok') this.run = outcome.body;
      else if (outcome.kind !== 'dropped') this.problem = outcome.problem;
      if (outcome.kind === 'ok') void this.show(outcome.body.id);
    } catch (thrown) {
      if (!this.#stop.signal.aborted) throw thrown;
    } finally {
      this.starting = false;
    }
  }

  /** Reads a run until it has ended. Silence in between is what some lessons are about. */
  async show(id: string): Promise<void> {
    const { signal } = this.#stop;
    this.#following = id;
    while (!signal.aborted && this.#following === id) {
      const answer = await lab.lessonRun(id);
      if (signal.aborted || this.#following !== id) return;
      if (this.#take(answer)) break;
      await sleep(lookEvery, signal).catch(() => undefined);
    }
    if (!signal.aborted) await this.runs.load();
  }

  /** True when there is nothing more to wait for. */
  #take(answer: Answer<LessonRun>): boolean {
    if (answer.kind === 'problem' && answer.status === 404) {
      this.away = false;
      this.problem = answer.problem;
      return true;
    }
    this.away = answer.kind !== 'ok';
    if (answer.kind !== 'ok') return false;
    const run = answer.body;
    this.run = run;
    this.pick ??= run.prediction;
    const paid = run.shop === 'payonce' ? run.payment_id : null;
    if (paid !== this.#watched) this.#watch(paid, run.state !== 'running');
    return run.state !== 'running';
  }

  /** Whose events are drawn. What was heard of it already is drawn too; an old one is only counted. */
  #watch(paymentId: string | null, old = false): void {
    this.#watched = paymentId;
    this.proof = null;
    if (paymentId === null) this.#heard = [];
    this.live.watch(paymentId, null);
    if (paymentId === null) return;
    if (old) void this.#recall();
    else this.live.catchUp(this.#heard);
    void this.#count();
  }

  /** Reads the past again; what the journal has forgotten, the proof must tell. */
  async #recall(): Promise<void> {
    const id = this.#watched;
    if (id === null) return;
    const [history] = await Promise.all([shop.activity(id), this.#count()]);
    if (id !== this.#watched || history.kind !== 'ok') return;
    if (!forgotten(history.body, this.proof)) this.live.remember(history.body);
    else if (this.live.story.length === 0) this.live.watch(id, this.proof);
  }

  async #count(): Promise<void> {
    const id = this.#watched;
    if (id === null) return;
    const proof = await shop.proof(id);
    if (id !== this.#watched || proof.kind !== 'ok') return;
    this.proof = proof.body;
    this.live.learn(proof.body);
  }

  #heardOne(event: Activity): void {
    if (event.payment_id === undefined) return;
    this.#heard = [...this.#heard.slice(-mostHeard), event];
    if (event.payment_id !== this.#watched) return;
    clearTimeout(this.#proofTimer);
    this.#proofTimer = setTimeout(() => void this.#count(), proofAfter);
  }
}
