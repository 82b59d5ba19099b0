import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import type { IRuntime } from '../api';
import { isLive } from '../format';
import { showReport } from '../reportDialog';
import { runAgain } from '../rerun';
import { ResumeWatch } from '../resumeWatch';
import type { IVariableFate } from '../stateApi';
import { IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';
import { listNames } from '../variables';

/** How long it is told what is not there; after that, it is among the notifications. */
const TOLD_MS = 15_000;

/**
 * Tells after a resume what is not there again, and offers to run the cells that made it.
 */
export const runAgainPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:run-again',
  description: 'Offers to run again what a pause could not save.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [INotebookTracker, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const watch = new ResumeWatch(remoteKernels);
    watch.resumed.connect((_, { runtime, snapshotId }) => {
      remoteKernels.snapshots.read(snapshotId).then(
        ({ not_carried }) => {
          if (not_carried.length > 0) {
            tell(
              { app, remoteKernels, notebooks, trans },
              runtime,
              not_carried
            );
          }
        },
        // It may have been deleted since: then nobody can say any more what was not in it.
        () => undefined
      );
    });
  }
};

interface IContext {
  readonly app: JupyterFrontEnd;
  readonly remoteKernels: IRemoteKernels;
  readonly notebooks: INotebookTracker | null;
  readonly trans: TranslationBundle;
}

function tell(
  context: IContext,
  runtime: IRuntime,
  not_carried: ReadonlyArray<IVariableFate>
): void {
  const { remoteKernels, trans } = context;
  const { id, name } = runtime;
  const names = listNames(
    not_carried.map(variable => variable.name),
    trans
  );
  const message = trans.__('%1 goes on without %2.', name, names);
  const title = trans.__('Not There Again in %1', name);
  const rerun = (
    cell: NonNullable<IVariableFate['cell']>
  ): Promise<boolean> => {
    const now = remoteKernels.find(id);
    if (!now || !isLive(now)) {
      throw new Error(trans.__('The kernel is not running.'));
    }
    return runAgain(context, now, cell);
  };
  Notification.info(message, {
    autoClose: TOLD_MS,
    actions: [
      {
        label: trans.__('Show Report'),
        callback: () => void showReport(title, { not_carried }, trans, rerun)
      }
    ]
  });
}
