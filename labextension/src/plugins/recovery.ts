import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { NotebookRecovery } from '../recovery/notebookRecovery';
import { KeepConnected } from '../recovery/keepConnected';
import { IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Brings what ran while no page was there, or while its connection was lost, into the cells.
 */
export const recoveryPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:recovery',
  description:
    'Brings outputs that a page has missed into the cells of its notebooks.',
  autoStart: true,
  requires: [IRemoteKernels, INotebookTracker],
  optional: [ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    notebooks: INotebookTracker,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const connections = new KeepConnected(remoteKernels);
    // Several views of one notebook share their outputs: one of them is enough.
    const recoveries = new Map<DocumentRegistry.Context, NotebookRecovery>();
    const add = (panel: NotebookPanel): void => {
      const { context } = panel;
      if (recoveries.has(context)) {
        return;
      }
      const recovery = new NotebookRecovery(panel, remoteKernels, trans);
      recoveries.set(context, recovery);
      connections.add(panel.sessionContext);
      panel.disposed.connect(() => {
        recovery.dispose();
        recoveries.delete(context);
        const other = notebooks.find(
          one => one.context === context && one !== panel
        );
        if (other) {
          add(other);
        }
      });
    };
    notebooks.forEach(add);
    notebooks.widgetAdded.connect((_, panel) => add(panel));
  }
};
