import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IRuntime } from './api';
import { RUNTIME_CLASS } from './components/runtimes';
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

/** Where a command looks for its runtime. */
export interface IRuntimeSources {
  readonly app: JupyterFrontEnd;
  readonly remoteKernels: IRemoteKernels;
  readonly notebooks: INotebookTracker | null;
}

/** Find the runtime that a command is about. */
export function resolveRuntime(
  sources: IRuntimeSources,
  args: ReadonlyPartialJSONObject
): IRuntime | undefined {
  const { app, remoteKernels, notebooks } = sources;
  let id = args.runtime_id as string | undefined;
  if (!id && args.fromContextMenu) {
    id = app.contextMenuHitTest(node => !!node.dataset.runtimeId)?.dataset
      .runtimeId;
  }
  if (!id) {
    const row = document.activeElement?.closest<HTMLElement>(
      `.${RUNTIME_CLASS}`
    );
    id = row?.dataset.runtimeId;
  }
  if (!id) {
    id = notebooks?.currentWidget?.sessionContext.session?.kernel?.id;
  }
  return id ? remoteKernels.find(id) : undefined;
}
