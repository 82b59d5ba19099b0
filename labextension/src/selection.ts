/**
 * Which of the rows of a list are selected. Pure.
 */

/** Selected rows, and the one from which a range goes. */
export interface ISelection {
  readonly ids: ReadonlySet<string>;
  readonly anchor: string | null;
}

/** Nothing is selected. */
export const NO_SELECTION: ISelection = { ids: new Set(), anchor: null };

/** Select a row, or no longer; it is where the next range begins. */
export function toggle(selection: ISelection, id: string): ISelection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) {
    ids.add(id);
  }
  return { ids, anchor: id };
}

/** Select all rows between the anchor and this one, and these only. */
export function extendTo(
  selection: ISelection,
  id: string,
  all: ReadonlyArray<string>
): ISelection {
  const anchor = selection.anchor ?? id;
  const ends = [all.indexOf(anchor), all.indexOf(id)].sort((a, b) => a - b);
  return ends[0] === -1
    ? { ids: new Set([id]), anchor: id }
    : { ids: new Set(all.slice(ends[0], ends[1] + 1)), anchor };
}

/** Select every row. */
export function selectAll(all: ReadonlyArray<string>): ISelection {
  return { ids: new Set(all), anchor: all[0] ?? null };
}

/** What is selected and still there, in the order of the list. */
export function selectedOf(
  selection: ISelection,
  all: ReadonlyArray<string>
): string[] {
  return all.filter(id => selection.ids.has(id));
}
