/**
 * What is said about a pause: what it would lose, and how far it is.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IOperation } from './api';
import { formatBytes } from './format';
import type { IMakingCell, IVariable, IVariableFate } from './stateApi';

/** How far an operation is, in one line. */
export function describeOperation(
  operation: IOperation,
  title: string,
  trans: TranslationBundle
): string {
  const { step, done_bytes, total_bytes } = operation;
  const moved = total_bytes
    ? trans.__(
        '%1 of %2',
        formatBytes(done_bytes ?? 0),
        formatBytes(total_bytes)
      )
    : '';
  return [title, step ?? '', moved].filter(part => !!part).join(' · ');
}

/** The variables that cannot be carried, in the order of their names. */
export function listLosses(variables: ReadonlyArray<IVariable>): IVariable[] {
  return variables
    .filter(({ status }) => status !== 'carried')
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** Say what becomes of a variable, why, and where in it the reason is. */
export function describeLoss(
  variable: IVariableFate,
  trans: TranslationBundle
): string {
  const what =
    variable.status === 'carried_without_links'
      ? trans.__('saved without what it shares with others')
      : trans.__('not saved');
  const why = whyNot(variable, trans);
  return why ? `${what} (${why})` : what;
}

/** Say why a variable cannot be carried as it is, and where in it the reason is. */
export function describeReason(
  variable: IVariableFate,
  trans: TranslationBundle
): string {
  const what =
    variable.status === 'carried_without_links'
      ? trans.__('carried without what it shares with others')
      : trans.__('cannot be carried');
  const why = whyNot(variable, trans);
  return why ? `${what}: ${why}` : what;
}

function whyNot(
  { reason, path, cell }: IVariableFate,
  trans: TranslationBundle
): string {
  const made = cell?.number ? trans.__('made by cell [%1]', cell.number) : '';
  return [reason, path, made].filter(part => !!part).join(', ');
}

/** Whether two variables were made by one cell, and anybody knows by which. */
export function isSameCell(
  one: IMakingCell | null | undefined,
  other: IMakingCell | null | undefined
): boolean {
  return (
    !!one &&
    !!other &&
    one.number === other.number &&
    one.source === other.source
  );
}

/** Variables in the order of the cells that made them, those of nobody last. */
export function sortByCell(
  variables: ReadonlyArray<IVariableFate>
): IVariableFate[] {
  const rank = ({ cell }: IVariableFate): number =>
    cell ? (cell.number ?? 0) : Infinity;
  return [...variables].sort((a, b) =>
    rank(a) === rank(b) ? a.name.localeCompare(b.name) : rank(a) - rank(b)
  );
}
