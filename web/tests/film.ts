import gifenc from 'gifenc';
import { PNG } from 'pngjs';

const { GIFEncoder, applyPalette, quantize } = gifenc;

export interface Still {
  png: Buffer;
  /** Milliseconds since the film began. */
  at: number;
}

/**
 * Makes a GIF of pictures taken at uneven times. What did not change since the
 * picture before is transparent, which keeps a mostly quiet page small.
 */
export function gif(stills: Still[], holdLast: number): Uint8Array {
  const first = stills[0];
  if (first === undefined) throw new Error('a film of no pictures');
  const frames = stills.map((still) => PNG.sync.read(still.png));
  const { width, height } = PNG.sync.read(first.png);
  const palette = quantize(sample(frames), 255, { format: 'rgb565' });
  const transparent = palette.length;
  const out = GIFEncoder();
  let before: Uint8Array | null = null;
  stills.forEach((still, i) => {
    const frame = frames[i];
    if (frame === undefined) return;
    const pixels: Uint8Array = applyPalette(frame.data, palette, 'rgb565');
    const shown =
      before === null ? pixels : pixels.map((p, n) => (p === before?.[n] ? transparent : p));
    const next = stills[i + 1];
    out.writeFrame(shown, width, height, {
      ...(i === 0 ? { palette: [...palette, [0, 0, 0]] } : {}),
      delay: next === undefined ? holdLast : next.at - still.at,
      transparent: i > 0,
      transparentIndex: transparent,
      dispose: 1,
    });
    before = pixels;
  });
  out.finish();
  return out.bytes();
}

/** Colours of the whole film, from every tenth picture and every third pixel. */
function sample(frames: PNG[]): Uint8Array {
  const some = frames.filter((_, i) => i % 10 === 0 || i === frames.length - 1);
  const pixels = some.flatMap((frame) => {
    const rgba = new Uint32Array(new Uint8Array(frame.data).buffer);
    return [rgba.filter((_, i) => i % 3 === 0)];
  });
  const all = new Uint32Array(pixels.reduce((sum, p) => sum + p.length, 0));
  let offset = 0;
  for (const part of pixels) {
    all.set(part, offset);
    offset += part.length;
  }
  return new Uint8Array(all.buffer);
}
