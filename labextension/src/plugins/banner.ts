import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { ReservationBanner } from '../components/banner';
import { IReservations } from '../reservations';
import { IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Says above a notebook that its runtime is about to end, or has ended.
 */
export const bannerPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:reservation-banner',
  description: 'Shows above a notebook that its reservation is about to end.',
  autoStart: true,
  requires: [IRemoteKernels, IReservations, INotebookTracker],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    reservations: IReservations,
    notebooks: INotebookTracker,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const { commands } = app;
    const context = { remoteKernels, reservations, commands, trans };
    const addTo = (panel: NotebookPanel): void => {
      panel.contentHeader.addWidget(new ReservationBanner(context, panel));
    };
    notebooks.forEach(addTo);
    notebooks.widgetAdded.connect((_, panel) => addTo(panel));
  }
};
