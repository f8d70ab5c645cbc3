import type { Activity } from './shapes';
import { FrameReader, Seen, type Frame } from './sse';

export type StreamState = 'connecting' | 'live' | 'lost';

export interface Listener {
  activity: (event: Activity) => void;
  /** The journal no longer knows where we were: everything must be read again. */
  reset: () => void;
  state: (state: StreamState) => void;
  /** The shop itself is there, its database is not, or is again. */
  database: (up: boolean) => void;
}

type Note =
  { kind: 'frame'; frame: Frame } | { kind: 'state'; state: StreamState } | { kind: 'hello' };

const lockName = 'payonce.stream';
/** The shop says something every 15 s; silence for longer than this is a dead line. */
const silenceLimit = 20_000;

/**
 * Opens the stream once for all tabs of this browser. A browser allows about six
 * connections to a host, and a stream keeps one for ever; so the tab that holds
 * the lock reads, the others listen, and when it closes the next one takes over
 * from the last event *it* has seen. Returns the function that stops it.
 */
export function listen(listener: Listener): () => void {
  const stop = new AbortController();
  const seen = new Seen();
  let lastId = '';
  let state: StreamState = 'connecting';

  const tell = (note: Note) => {
    if (note.kind === 'state') listener.state((state = note.state));
    if (note.kind !== 'frame') return;
    const { frame } = note;
    if (frame.event === 'offline' || frame.event === 'online') {
      listener.database(frame.event === 'online');
    } else if (frame.event === 'reset') {
      lastId = '';
      listener.reset();
    } else if (frame.event === 'activity') {
      // What a process says of itself is not kept and cannot be resumed from, so it has no
      // frame id; its own id is in the data, as it is with all others.
      const event = JSON.parse(frame.data) as Activity;
      if (frame.id !== '') lastId = frame.id;
      if (seen.first(event.id)) listener.activity(event);
    }
  };

  const channel = openChannel();
  // Locks exist only in secure contexts: a demo opened to a room over plain HTTP has
  // none. A browser that refuses storage may refuse locks and channels too. Each tab
  // then reads for itself.
  const readAlone = () => void keepReading(() => lastId, tell, stop.signal);
  if (channel === null || !('locks' in navigator)) {
    readAlone();
    return () => stop.abort();
  }

  const share = (note: Note) => {
    channel.postMessage(note);
    tell(note);
  };
  let leading = false;
  channel.onmessage = ({ data }: MessageEvent<Note>) => {
    if (data.kind !== 'hello') tell(data);
    else if (leading) channel.postMessage({ kind: 'state', state } satisfies Note);
  };
  channel.postMessage({ kind: 'hello' } satisfies Note);

  const lead = async () => {
    leading = true;
    await keepReading(() => lastId, share, stop.signal);
  };
  navigator.locks.request(lockName, { signal: stop.signal }, lead).catch(() => {
    if (!stop.signal.aborted) readAlone();
  });

  return () => {
    stop.abort();
    channel.close();
  };
}

function openChannel(): BroadcastChannel | null {
  try {
    return new BroadcastChannel(lockName);
  } catch {
    return null;
  }
}

async function keepReading(lastId: () => string, tell: (n: Note) => void, signal: AbortSignal) {
  for (let failures = 0; !signal.aborted; failures++) {
    const opened = await readOnce(lastId(), tell, signal);
    if (signal.aborted) return;
    if (opened) failures = 0;
    tell({ kind: 'state', state: 'lost' });
    await new Promise((next) => setTimeout(next, Math.min(250 * 2 ** failures, 3_000)));
  }
}

/** Reads until the line breaks; true when it had been open at all. */
async function readOnce(lastId: string, tell: (n: Note) => void, signal: AbortSignal) {
  const line = new AbortController();
  const hangUp = () => line.abort();
  signal.addEventListener('abort', hangUp);
  // An open connection outlives the network for minutes; the browser knows sooner.
  window.addEventListener('offline', hangUp);
  let alarm = setTimeout(hangUp, silenceLimit);
  let opened = false;
  try {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (lastId !== '') headers['Last-Event-ID'] = lastId;
    const response = await fetch('/v1/stream', { headers, signal: line.signal });
    if (!response.ok || response.body === null) return false;
    tell({ kind: 'state', state: 'live' });
    opened = true;
    const frames = new FrameReader();
    const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await text.read();
      if (done) return opened;
      clearTimeout(alarm);
      alarm = setTimeout(hangUp, silenceLimit);
      for (const frame of frames.push(value)) tell({ kind: 'frame', frame });
    }
  } catch {
    return opened;
  } finally {
    clearTimeout(alarm);
    signal.removeEventListener('abort', hangUp);
    window.removeEventListener('offline', hangUp);
  }
}
