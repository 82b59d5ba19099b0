import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { formatDuration } from '../amounts';
import { showExtendDialog } from '../extendDialog';
import { isLive } from '../format';
import { extendIcon } from '../icons';
import { explain } from '../launch';
import { IReservations, Reservations } from '../reservations';
import { resolveRuntime, RUNTIME_ARGS } from '../resolve';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Provides which reservations are about to end, and the command that extends them.
 */
export const reservationsPlugin: JupyterFrontEndPlugin<IReservations> = {
  id: 'jupyter-remote-kernels:reservations',
  description:
    'Watches time reservations, and adds the command to extend them.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [ICommandPalette, INotebookTracker, ITranslator],
  provides: IReservations,
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ): IReservations => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const sources = { app, remoteKernels, notebooks };
    app.commands.addCommand(CommandIDs.extend, {
      label: args =>
        typeof args.by_s === 'number'
          ? trans.__('Extend by %1', formatDuration(args.by_s, trans))
          : trans.__('Extend Reservation…'),
      caption: trans.__('Change when the runtime ends'),
      icon: extendIcon,
      isEnabled: args => {
        const runtime = resolveRuntime(sources, args);
        // A reservation begins when the runtime runs.
        return !!runtime && isLive(runtime);
      },
      describedBy: {
        args: {
          type: 'object',
          properties: {
            ...RUNTIME_ARGS,
            by_s: {
              type: 'number',
              description: 'By how many seconds; without it the user is asked.'
            }
          }
        }
      },
      execute: async args => {
        const runtime = resolveRuntime(sources, args);
        if (!runtime) {
          return;
        }
        if (typeof args.by_s !== 'number') {
          await showExtendDialog({ remoteKernels, runtime, trans });
          return;
        }
        try {
          const lease_s = (runtime.lease_s ?? 0) + args.by_s;
          await remoteKernels.setLease(runtime.id, { lease_s });
        } catch (error) {
          Notification.error(
            explain(trans.__('The reservation was not extended'), error),
            { autoClose: false }
          );
        }
      }
    });
    palette?.addItem({
      command: CommandIDs.extend,
      category: trans.__('Remote Kernels')
    });
    return new Reservations(remoteKernels, remoteKernels.clock);
  }
};
