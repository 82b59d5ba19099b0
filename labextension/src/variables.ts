/**
 * Variables on their way from one kernel to another: which ones, and what is in their way. Pure,
 * but for the lists, which are read when somebody wants to see them.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { Problems } from './form';
import { formatBytes } from './format';
import { Loadable, type ILoadable } from './loadable';
import type { Conflict, IVariable, IVariables } from './stateApi';

/** More names than this are counted and not listed. */
const NAMES_SHOWN = 8;

/** The type of what was imported as a whole. */
const MODULE = 'module';

/** What a person chooses about variables. */
export interface IVariableChoice {
  /** `null`: all that can be carried. */
  readonly chosen: ReadonlyArray<string> | null;
  readonly on_conflict: Conflict;
}

/** The lists of some kernels' variables. Each is asked for once, when it is wanted first. */
export class VariableLists {
  constructor(read: (id: string, signal: AbortSignal) => Promise<IVariables>) {
    this._read = read;
  }

  of(id: string): ILoadable<IVariables> {
    let asked = this._asked.get(id);
    if (!asked) {
      const closing = new AbortController();
      const list = new Loadable(() => this._read(id, closing.signal));
      asked = { list, closing };
      this._asked.set(id, asked);
      void list.refresh();
    }
    return asked.list;
  }

  /** Do not wait any more for kernels that are busy; whoever asks again, asks them anew. */
  stop(): void {
    const waiting = [...this._asked].filter(
      ([, { list }]) => !list.value && !list.error
    );
    for (const [id, { list, closing }] of waiting) {
      this._asked.delete(id);
      list.dispose();
      closing.abort();
    }
  }

  /** Nobody looks any more. */
  dispose(): void {
    this.stop();
    this._asked.forEach(({ list }) => list.dispose());
  }

  private readonly _read: (
    id: string,
    signal: AbortSignal
  ) => Promise<IVariables>;
  private readonly _asked = new Map<
    string,
    { list: Loadable<IVariables>; closing: AbortController }
  >();
}

/** Whether a variable can go anywhere. */
export function canBeCarried(variable: IVariable): boolean {
  return variable.status !== 'refused';
}

/** The names that are chosen among those that can be carried. */
export function chosenNames(
  found: IVariables | null,
  { chosen }: IVariableChoice
): string[] {
  const possible = (found?.variables ?? [])
    .filter(canBeCarried)
    .map(({ name }) => name);
  return chosen === null
    ? possible
    : possible.filter(name => chosen.includes(name));
}

/** What is asked for: all is all at the time of the transfer, and not only what was listed. */
export function requestedNames(
  found: IVariables | null,
  choice: IVariableChoice
): string[] | null {
  return choice.chosen === null ? null : chosenNames(found, choice);
}

/** Choose a variable, or leave it out; all of them is not the same as each of them. */
export function toggleName(
  found: IVariables,
  choice: IVariableChoice,
  name: string
): string[] {
  const names = chosenNames(found, choice);
  return names.includes(name)
    ? names.filter(other => other !== name)
    : [...names, name];
}

/** Which of the chosen names the target has, too. A module that both have imported is the same. */
export function conflictingNames(
  names: ReadonlyArray<string>,
  source: IVariables | null,
  target: IVariables | null
): string[] {
  const types = new Map(source?.variables.map(one => [one.name, one.type]));
  const taken = new Map(target?.variables.map(one => [one.name, one.type]));
  const isModule = (name: string): boolean =>
    types.get(name) === MODULE && taken.get(name) === MODULE;
  return names.filter(name => taken.has(name) && !isModule(name));
}

/** How much the chosen variables are, in words. */
export function describeChoice(
  found: IVariables,
  choice: IVariableChoice,
  trans: TranslationBundle
): string {
  const names = new Set(chosenNames(found, choice));
  const bytes = found.variables
    .filter(({ name }) => names.has(name))
    .reduce((sum, { size_bytes }) => sum + (size_bytes ?? 0), 0);
  return trans.__(
    '%1 of %2 chosen, %3',
    names.size,
    found.variables.length,
    formatBytes(bytes)
  );
}

/** Some names in a row; of many only the first. */
export function listNames(
  names: ReadonlyArray<string>,
  trans: TranslationBundle
): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  const more = names.length - NAMES_SHOWN;
  return more > 0 ? trans.__('%1 and %2 more', shown, more) : shown;
}

/** Say what becomes of the names that both have. */
export function describeConflicts(
  names: ReadonlyArray<string>,
  policy: Conflict,
  target: string,
  trans: TranslationBundle
): string {
  if (names.length === 0) {
    return trans.__('%1 has no variable of these names.', target);
  }
  const list = listNames(names, trans);
  switch (policy) {
    case 'refuse':
      return trans.__('%1 has these, too: %2.', target, list);
    case 'replace':
      return trans.__('Replaced in %1: %2.', target, list);
    case 'keep':
      return trans.__('Stay as they are in %1: %2.', target, list);
    case 'rename':
      return trans.__('Added to %1 under other names: %2.', target, list);
  }
}

/** What is wrong with a choice before anything is sent. */
export function checkChoice(
  source: IVariables | null,
  target: IVariables | null,
  choice: IVariableChoice,
  trans: TranslationBundle
): Problems {
  const names = chosenNames(source, choice);
  if (source && names.length === 0) {
    return { variables: trans.__('Choose at least one variable.') };
  }
  const conflicts = conflictingNames(names, source, target);
  return choice.on_conflict === 'refuse' && conflicts.length > 0
    ? { on_conflict: trans.__('Choose what becomes of what both have.') }
    : {};
}
