/**
 * What is said about an operation that moved state, when it has succeeded. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IOperation } from './api';
import { formatBytes } from './format';
import type { IStateResult } from './stateApi';
import { listNames } from './variables';

/** The end of an operation in words. */
export interface IOutcome {
  readonly message: string;
  /** Whether something is not there that a person may count on. */
  readonly isLoss: boolean;
  /** Whether there is more to tell than the message does. */
  readonly hasReport: boolean;
}

/** Say how an operation has ended, beginning with a sentence about what was wanted. */
export function describeOutcome(
  operation: IOperation,
  wanted: string,
  trans: TranslationBundle
): IOutcome {
  const result = operation.result ?? {};
  const lost = result.lost?.length ?? 0;
  const refused = result.not_carried?.length ?? 0;
  const parts = [
    describeMoved(result, trans),
    lost > 0 ? trans._n('One was lost.', '%1 were lost.', lost) : '',
    refused > 0
      ? trans._n('One was not carried.', '%1 were not carried.', refused)
      : '',
    describeConflictsOf(result, trans)
  ].filter(text => !!text);
  return {
    message: [parts.length > 0 ? `${wanted}.` : wanted, ...parts].join(' '),
    isLoss: lost > 0 || (operation.kind === 'transfer' && refused > 0),
    hasReport:
      lost + refused > 0 ||
      hasConflicts(result) ||
      Object.keys(result.notes ?? {}).length > 0
  };
}

function describeMoved(result: IStateResult, trans: TranslationBundle): string {
  const { transferred, bytes, size_bytes, carried } = result;
  if (transferred) {
    return trans._n(
      'One variable, %2.',
      '%1 variables, %2.',
      transferred.length,
      formatBytes(bytes ?? 0)
    );
  }
  return carried !== undefined && size_bytes !== undefined
    ? trans._n(
        'One variable, %2.',
        '%1 variables, %2.',
        carried,
        formatBytes(size_bytes)
      )
    : '';
}

function hasConflicts({ renamed, kept }: IStateResult): boolean {
  return Object.keys(renamed ?? {}).length > 0 || (kept?.length ?? 0) > 0;
}

function describeConflictsOf(
  { renamed, kept }: IStateResult,
  trans: TranslationBundle
): string {
  const names = Object.entries(renamed ?? {}).map(
    ([before, after]) => `${before} → ${after}`
  );
  return [
    names.length > 0
      ? trans.__('Under other names: %1.', listNames(names, trans))
      : '',
    kept && kept.length > 0
      ? trans.__('Kept as they were: %1.', listNames(kept, trans))
      : ''
  ]
    .filter(text => !!text)
    .join(' ');
}
