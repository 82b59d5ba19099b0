import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IRuntime } from './api';
import { RUNTIME_CLASS } from './components/runtimeRow';
import type { IRemoteKernels } from './tokens';

/** The arguments by which a command is told its runtime. */
export const RUNTIME_ARGS = {
  runtime_id: {
    type: 'string',
    description:
      'The runtime; without it the selected row, else the kernel of the current notebook.'
  },
  fromContextMenu: {
    type: 'boolean',
    description: 'Take the row on which the context menu was opened.'
  }
} as const;

/** The arguments by which a command is told its runtimes. */
export const RUNTIMES_ARGS = {
  ...RUNTIME_ARGS,
  runtime_ids: {
    type: 'array',
    items: { type: 'string' },
    description: 'Several runtimes at once.'
  }
} as const;

/** Where a command looks for its runtime. */
export interface IRuntimeSources {
  readonly app: JupyterFrontEnd;
  readonly remoteKernels: IRemoteKernels;
  readonly notebooks: INotebookTracker | null;
}

/** Find the kernel that a command is about; it may be none of ours. */
export function resolveKernelId(
  { app, notebooks }: IRuntimeSources,
  args: ReadonlyPartialJSONObject
): string | undefined {
  return (
    (args.runtime_id as string | undefined) ??
    findRow(app, args)?.dataset.runtimeId ??
    notebooks?.currentWidget?.sessionContext.session?.kernel?.id
  );
}

/** Find the runtime that a command is about. */
export function resolveRuntime(
  sources: IRuntimeSources,
  args: ReadonlyPartialJSONObject
): IRuntime | undefined {
  const id = resolveKernelId(sources, args);
  return id ? sources.remoteKernels.find(id) : undefined;
}

/** Find the runtimes that a command is about: several when the row is one of those selected. */
export function resolveRuntimes(
  sources: IRuntimeSources,
  args: ReadonlyPartialJSONObject
): IRuntime[] {
  const { app, remoteKernels } = sources;
  let ids = args.runtime_ids as string[] | undefined;
  if (!ids && !args.runtime_id) {
    const row = findRow(app, args);
    if (row?.dataset.selected) {
      const rows = row.parentElement?.querySelectorAll<HTMLElement>(
        `.${RUNTIME_CLASS}[data-selected]`
      );
      ids = [...(rows ?? [])].map(({ dataset }) => dataset.runtimeId ?? '');
    }
  }
  if (ids) {
    return ids
      .map(id => remoteKernels.find(id))
      .filter(runtime => runtime !== undefined);
  }
  const runtime = resolveRuntime(sources, args);
  return runtime ? [runtime] : [];
}

/** The row on which the context menu was opened, else the one that has the focus. */
function findRow(
  app: JupyterFrontEnd,
  args: ReadonlyPartialJSONObject
): HTMLElement | undefined {
  const hit = args.fromContextMenu
    ? app.contextMenuHitTest(node => !!node.dataset.runtimeId)
    : undefined;
  const focused = document.activeElement?.closest<HTMLElement>(
    `.${RUNTIME_CLASS}`
  );
  return hit ?? focused ?? undefined;
}
