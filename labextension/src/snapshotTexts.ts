/**
 * Facts about a snapshot in words. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IEnvironment, IRuntime } from './api';
import { formatBytes, formatTime } from './format';
import type { ISnapshot } from './stateApi';

/** Where names are looked up. */
export interface INames {
  find(id: string): IRuntime | undefined;
  findEnvironment(name: string): IEnvironment | undefined;
}

/** What a snapshot is called; one that nobody has named is called after its runtime. */
export function snapshotTitle(
  snapshot: ISnapshot,
  names: INames,
  trans: TranslationBundle
): string {
  if (snapshot.name) {
    return snapshot.name;
  }
  const { runtime_id } = snapshot;
  const runtime = runtime_id ? names.find(runtime_id) : undefined;
  const whose = runtime?.name ?? environmentOf(snapshot, names);
  return whose
    ? trans.__('State of %1', whose)
    : trans.__('Snapshot %1', snapshot.id.slice(0, 8));
}

/** The name of the environment that a snapshot was taken in; empty when nobody knows. */
export function environmentOf(
  { environment }: ISnapshot,
  names: INames
): string {
  return environment
    ? (names.findEnvironment(environment)?.display_name ?? environment)
    : '';
}

/** Name and time, for lists in which one is chosen. */
export function describeSnapshot(
  snapshot: ISnapshot,
  names: INames,
  trans: TranslationBundle
): string {
  return [
    snapshotTitle(snapshot, names, trans),
    formatTime(snapshot.created_at)
  ].join(' · ');
}

/** Size, time and origin. */
export function snapshotFacts(
  snapshot: ISnapshot,
  names: INames,
  trans: TranslationBundle
): string[] {
  const { created_at, total_bytes, new_bytes, problem } = snapshot;
  if (problem) {
    return [formatTime(created_at)].filter(text => !!text);
  }
  const size =
    new_bytes < total_bytes
      ? trans.__(
          '%1 (%2 new)',
          formatBytes(total_bytes),
          formatBytes(new_bytes)
        )
      : formatBytes(total_bytes);
  return [size, formatTime(created_at), environmentOf(snapshot, names)].filter(
    text => !!text
  );
}

/** Say why a snapshot cannot be opened. */
export function describeSnapshotProblem(
  problem: string,
  trans: TranslationBundle
): string {
  switch (problem) {
    case 'snapshot_damaged':
      return trans.__('Damaged: it cannot be opened.');
    case 'snapshot_untrusted':
      return trans.__('Not signed by this server: it cannot be opened.');
    case 'snapshot_version':
      return trans.__('Written by a newer version: it cannot be opened.');
    default:
      return trans.__('It cannot be opened.');
  }
}
