import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { RuntimeBadge } from '../components/badge';
import { IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/** The name in `schema/badge.json`. */
const ITEM = 'remoteKernelState';

/**
 * Adds the state of a notebook's remote kernel to its toolbar.
 */
export const badgePlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:badge',
  description: 'Shows the state of a remote kernel in the notebook toolbar.',
  autoStart: true,
  requires: [IRemoteKernels, IToolbarWidgetRegistry],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    toolbars: IToolbarWidgetRegistry,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const context = { remoteKernels, commands: app.commands, trans };
    toolbars.addFactory<NotebookPanel>(
      'Notebook',
      ITEM,
      panel => new RuntimeBadge(context, panel.sessionContext)
    );
  }
};
