import {
  extendTo,
  NO_SELECTION,
  selectAll,
  selectedOf,
  toggle
} from '../selection';

const ALL = ['a', 'b', 'c', 'd'];

describe('a selection of rows', () => {
  it('takes a row in and out again', () => {
    const one = toggle(NO_SELECTION, 'b');
    expect(selectedOf(one, ALL)).toEqual(['b']);
    expect(selectedOf(toggle(one, 'b'), ALL)).toEqual([]);
  });

  it('extends from where it began, in both directions', () => {
    const down = extendTo(toggle(NO_SELECTION, 'b'), 'd', ALL);
    expect(selectedOf(down, ALL)).toEqual(['b', 'c', 'd']);
    expect(selectedOf(extendTo(down, 'a', ALL), ALL)).toEqual(['a', 'b']);
  });

  it('begins a range with itself where nothing was selected', () => {
    expect(selectedOf(extendTo(NO_SELECTION, 'c', ALL), ALL)).toEqual(['c']);
  });

  it('begins anew when the row it began with is gone', () => {
    const gone = toggle(NO_SELECTION, 'x');
    expect(selectedOf(extendTo(gone, 'c', ALL), ALL)).toEqual(['c']);
  });

  it('forgets what is gone, and keeps the order of the list', () => {
    const all = selectAll(ALL);
    expect(selectedOf(all, ['d', 'a'])).toEqual(['d', 'a']);
  });
});
