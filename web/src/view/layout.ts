import type { Node, Place } from '../model/place';

/** Where everything of the X-ray stands. Two drawings of the same flow: a wide and a tall one. */
export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

type Point = readonly [x: number, y: number];
/** A cubic curve: start, two handles, end. */
type Way = readonly [Point, Point, Point, Point];

export interface Layout {
  width: number;
  height: number;
  boxes: Record<Node, Box>;
  tray: Box;
  gate: { x: number; y: number; length: number; upright: boolean };
  /** Where what waits at the gate queues up. */
  queue: { from: Point; step: Point };
  ways: Record<string, Way>;
  /** Where a token leaves the drawn line, so that it never covers the words of a box. */
  hops: Record<string, Way>;
  /** What stands outside of our own walls. */
  outside: Box;
  compact: boolean;
}

const line = (x1: number, y1: number, x2: number, y2: number): Way => [
  [x1, y1],
  [x1 + (x2 - x1) / 3, y1 + (y2 - y1) / 3],
  [x1 + ((x2 - x1) * 2) / 3, y1 + ((y2 - y1) * 2) / 3],
  [x2, y2],
];

/** Leaves and arrives upright, for ways that fan out downwards. */
const bend = (x1: number, y1: number, x2: number, y2: number): Way => {
  const middle = (y1 + y2) / 2;
  return [
    [x1, y1],
    [x1, middle],
    [x2, middle],
    [x2, y2],
  ];
};

export const wide: Layout = {
  width: 800,
  height: 476,
  compact: false,
  boxes: {
    browser: { x: 4, y: 28, w: 138, h: 66 },
    gateway: { x: 4, y: 118, w: 138, h: 66 },
    api: { x: 300, y: 28, w: 196, h: 132 },
    provider: { x: 640, y: 50, w: 144, h: 66 },
    postgres: { x: 300, y: 222, w: 196, h: 106 },
    relay: { x: 536, y: 242, w: 106, h: 66 },
    rabbitmq: { x: 680, y: 242, w: 116, h: 66 },
    ledger: { x: 262, y: 388, w: 126, h: 80 },
    email: { x: 398, y: 388, w: 126, h: 80 },
    tickets: { x: 534, y: 388, w: 126, h: 80 },
    saga: { x: 670, y: 388, w: 126, h: 80 },
  },
  tray: { x: 4, y: 248, w: 232, h: 220 },
  gate: { x: 300, y: 42, length: 104, upright: true },
  queue: { from: [262, 61], step: [0, 23] },
  outside: { x: 626, y: 18, w: 172, h: 114 },
  ways: {
    'browser>gate': line(142, 61, 262, 61),
    'gateway>gate': [
      [142, 151],
      [200, 151],
      [200, 61],
      [262, 61],
    ],
    'gate>api': line(262, 61, 340, 61),
    'gate>tray': [
      [262, 61],
      [286, 130],
      [270, 240],
      [170, 290],
    ],
    'tray>browser': [
      [170, 290],
      [230, 200],
      [200, 90],
      [142, 80],
    ],
    'tray>gateway': [
      [170, 290],
      [220, 240],
      [190, 172],
      [142, 170],
    ],
    'gate>browser': line(262, 75, 142, 84),
    'gate>gateway': [
      [262, 75],
      [210, 80],
      [190, 170],
      [142, 170],
    ],
    'api>provider': line(496, 72, 640, 72),
    'provider>api': line(640, 94, 496, 94),
    'api>postgres': line(398, 160, 398, 222),
    'postgres>relay': line(496, 275, 536, 275),
    'relay>rabbitmq': line(642, 275, 680, 275),
    'rabbitmq>relay': line(680, 290, 642, 290),
    'rabbitmq>provider': line(766, 242, 766, 116),
    'provider>rabbitmq': line(766, 116, 766, 242),
    'rabbitmq>ledger': bend(718, 308, 325, 388),
    'rabbitmq>email': bend(728, 308, 461, 388),
    'rabbitmq>tickets': bend(738, 308, 597, 388),
    'rabbitmq>saga': bend(748, 308, 733, 388),
    'ledger>rabbitmq': bend(325, 388, 718, 308),
    'email>rabbitmq': bend(461, 388, 728, 308),
    'tickets>rabbitmq': bend(597, 388, 738, 308),
    'saga>rabbitmq': bend(733, 388, 748, 308),
  },
  hops: {
    'api>provider': line(496, 72, 606, 72),
    'provider>api': line(606, 94, 470, 94),
    'postgres>relay': [
      [488, 246],
      [510, 206],
      [560, 206],
      [589, 238],
    ],
    'relay>rabbitmq': [
      [589, 238],
      [620, 204],
      [700, 204],
      [738, 238],
    ],
    'rabbitmq>relay': [
      [738, 238],
      [700, 204],
      [620, 204],
      [589, 238],
    ],
  },
};

export const tall: Layout = {
  width: 344,
  height: 650,
  compact: true,
  boxes: {
    browser: { x: 4, y: 4, w: 162, h: 58 },
    gateway: { x: 178, y: 4, w: 162, h: 58 },
    api: { x: 4, y: 118, w: 206, h: 176 },
    provider: { x: 248, y: 126, w: 88, h: 78 },
    postgres: { x: 4, y: 330, w: 310, h: 86 },
    relay: { x: 4, y: 452, w: 150, h: 58 },
    rabbitmq: { x: 190, y: 452, w: 150, h: 58 },
    ledger: { x: 4, y: 550, w: 78, h: 96 },
    email: { x: 90, y: 550, w: 78, h: 96 },
    tickets: { x: 176, y: 550, w: 78, h: 96 },
    saga: { x: 262, y: 550, w: 78, h: 96 },
  },
  tray: { x: 18, y: 196, w: 178, h: 84 },
  gate: { x: 20, y: 118, length: 174, upright: false },
  queue: { from: [48, 98], step: [56, 0] },
  outside: { x: 238, y: 92, w: 104, h: 120 },
  ways: {
    'browser>gate': line(48, 62, 48, 98),
    'gateway>gate': [
      [230, 62],
      [230, 84],
      [110, 84],
      [48, 98],
    ],
    'gate>api': line(48, 98, 90, 134),
    'gate>tray': [
      [48, 98],
      [20, 130],
      [30, 190],
      [90, 238],
    ],
    'tray>browser': [
      [90, 238],
      [130, 190],
      [120, 110],
      [118, 62],
    ],
    'tray>gateway': [
      [90, 238],
      [150, 190],
      [200, 120],
      [260, 62],
    ],
    'gate>browser': line(70, 98, 118, 62),
    'gate>gateway': line(70, 98, 260, 62),
    'api>provider': line(210, 148, 248, 148),
    'provider>api': line(248, 176, 210, 176),
    'api>postgres': line(106, 294, 106, 330),
    'postgres>relay': line(78, 416, 78, 452),
    'relay>rabbitmq': line(154, 481, 190, 481),
    'rabbitmq>relay': line(190, 494, 154, 494),
    'rabbitmq>provider': line(327, 452, 327, 204),
    'provider>rabbitmq': line(327, 204, 327, 452),
    'rabbitmq>ledger': bend(246, 510, 43, 550),
    'rabbitmq>email': bend(258, 510, 129, 550),
    'rabbitmq>tickets': bend(270, 510, 215, 550),
    'rabbitmq>saga': bend(282, 510, 301, 550),
    'ledger>rabbitmq': bend(43, 550, 246, 510),
    'email>rabbitmq': bend(129, 550, 258, 510),
    'tickets>rabbitmq': bend(215, 550, 270, 510),
    'saga>rabbitmq': bend(301, 550, 282, 510),
  },
  hops: {
    'api>provider': [
      [180, 150],
      [200, 110],
      [260, 104],
      [292, 124],
    ],
    'provider>api': [
      [292, 206],
      [270, 226],
      [210, 190],
      [180, 150],
    ],
    'postgres>relay': line(110, 416, 110, 450),
    'relay>rabbitmq': [
      [110, 450],
      [140, 430],
      [250, 430],
      [290, 450],
    ],
    'rabbitmq>relay': [
      [290, 450],
      [250, 430],
      [140, 430],
      [110, 450],
    ],
  },
};

/** The ways that are drawn as lines even while nothing travels on them. */
export const drawnWays = [
  'browser>gate',
  'gate>api',
  'gateway>gate',
  'api>provider',
  'provider>api',
  'api>postgres',
  'postgres>relay',
  'relay>rabbitmq',
  'rabbitmq>ledger',
  'rabbitmq>email',
  'rabbitmq>tickets',
  'rabbitmq>saga',
  'rabbitmq>provider',
];

export function pathOf(layout: Layout, way: string): string {
  const curve = layout.ways[way];
  if (curve === undefined) return '';
  const [a, b, c, d] = curve;
  return `M${a.join(' ')} C${b.join(' ')} ${c.join(' ')} ${d.join(' ')}`;
}

/** The point at `along` (0 to 1) between two places; resting on a node is its upper right. */
export function pointOn(layout: Layout, from: Place, to: Place, along: number): Point {
  const way = `${from}>${to}`;
  const curve = layout.hops[way] ?? layout.ways[way];
  if (curve === undefined) return restingPoint(layout, to);
  const [a, b, c, d] = curve;
  const rest = 1 - along;
  const at = (i: 0 | 1) =>
    rest ** 3 * a[i] +
    3 * rest ** 2 * along * b[i] +
    3 * rest * along ** 2 * c[i] +
    along ** 3 * d[i];
  return [at(0), at(1)];
}

function restingPoint(layout: Layout, place: Place): Point {
  if (place === 'gate') return layout.queue.from;
  const box = place === 'tray' ? layout.tray : layout.boxes[place];
  return [box.x + box.w - 30, box.y + 2];
}
