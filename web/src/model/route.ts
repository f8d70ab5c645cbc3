/** The pages of this application, as the address bar names them. */
export type Route =
  | { page: 'shop' }
  | { page: 'payment' | 'replay'; id: string }
  | { page: 'lesson'; slug: string }
  | { page: 'lab' | 'explain' | 'compare' }
  | { page: 'xray' | 'ops' | 'data' | 'developers' }
  | { page: 'nowhere'; path: string };

/** The slug of the closing page, which looks like a lesson's. */
export const explainSlug = 'explain-it-back';

const single = ['ops', 'data', 'developers', 'lab', 'compare'] as const;

/** Which page an address means. A slash at the end means nothing. */
export function routeOf(path: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const [first, second] = parts;
  if (parts.length === 0 || path === '/index.html') return { page: 'shop' };
  if (parts.length === 2 && first === 'payments' && second !== undefined) {
    return { page: 'payment', id: second };
  }
  if (parts.length === 2 && first === 'replay' && second !== undefined) {
    return { page: 'replay', id: second };
  }
  if (parts.length === 1 && first === 'x-ray') return { page: 'xray' };
  if (parts.length === 2 && first === 'lab' && second !== undefined) {
    return second === explainSlug ? { page: 'explain' } : { page: 'lesson', slug: second };
  }
  const page = single.find((name) => name === first);
  if (parts.length === 1 && page !== undefined) return { page };
  return { page: 'nowhere', path };
}

/** What the head of every page links to, in this order. */
export const places: { href: string; name: string; lab: boolean; page: Route['page'] }[] = [
  { href: '/', name: 'Shop', lab: false, page: 'shop' },
  { href: '/lab', name: 'Lab', lab: true, page: 'lab' },
  { href: '/compare', name: 'Compare', lab: true, page: 'compare' },
  { href: '/x-ray', name: 'X-ray', lab: false, page: 'xray' },
  { href: '/data', name: 'Data', lab: false, page: 'data' },
  { href: '/ops', name: 'Operations', lab: false, page: 'ops' },
  { href: '/developers', name: 'Developers', lab: false, page: 'developers' },
];

/** How a place relates to the page that is open: it is it, it leads to it, or neither. */
export function current(place: Route['page'], page: Route['page']): 'page' | 'true' | undefined {
  if (place === page) return 'page';
  return place === 'lab' && (page === 'lesson' || page === 'explain') ? 'true' : undefined;
}

/** Pages of the laboratory, which a production build does not have. */
export const ofLab = (page: Route['page']): boolean =>
  page === 'explain' || page === 'lesson' || places.some((p) => p.page === page && p.lab);
