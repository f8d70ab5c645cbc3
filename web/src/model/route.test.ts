import { expect, test } from 'vitest';
import { current, ofLab, routeOf } from './route';

test('an address names its page, and a slash at the end means nothing', () => {
  expect(routeOf('/')).toEqual({ page: 'shop' });
  expect(routeOf('/lab')).toEqual({ page: 'lab' });
  expect(routeOf('/lab/')).toEqual({ page: 'lab' });
  expect(routeOf('/lab/two-tabs')).toEqual({ page: 'lesson', slug: 'two-tabs' });
  expect(routeOf('/lab/explain-it-back')).toEqual({ page: 'explain' });
  expect(routeOf('/compare')).toEqual({ page: 'compare' });
  expect(routeOf('/payments/pay_1')).toEqual({ page: 'payment', id: 'pay_1' });
  expect(routeOf('/replay/rec_1')).toEqual({ page: 'replay', id: 'rec_1' });
  expect(routeOf('/lab/two-tabs/more').page).toBe('nowhere');
  expect(routeOf('/compare/more').page).toBe('nowhere');
});

test('a lesson lies within the lab, and both within a lab build only', () => {
  expect(current('lab', 'lab')).toBe('page');
  expect(current('lab', 'lesson')).toBe('true');
  expect(current('shop', 'lesson')).toBeUndefined();
  expect(['lab', 'lesson', 'explain', 'compare'].map((page) => ofLab(page as 'lab'))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(ofLab('shop')).toBe(false);
});
