import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import { transferIcon } from '../icons';
import type { IKernelChoice } from '../kernels';
import { explain } from '../launch';
import { followOperation } from '../operationProgress';
import { findKernels } from '../runningKernels';
import {
  resolveKernelId,
  RUNTIME_ARGS,
  type IRuntimeSources
} from '../resolve';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';
import { showTransferDialog } from '../transferDialog';

/**
 * Adds the command that carries variables from one kernel to another.
 */
export const transferPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:transfer',
  description: 'Carries variables from one kernel to another.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [ICommandPalette, INotebookTracker, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const sources = { app, remoteKernels, notebooks };
    app.commands.addCommand(CommandIDs.transfer, {
      label: trans.__('Transfer State…'),
      caption: trans.__('Copy variables to another kernel'),
      icon: transferIcon,
      isEnabled: args => isRunning(sources, resolveKernelId(sources, args)),
      describedBy: {
        args: {
          type: 'object',
          properties: {
            ...RUNTIME_ARGS,
            target_id: {
              type: 'string',
              description: 'To which kernel; without it the user is asked.'
            }
          }
        }
      },
      execute: args =>
        transfer(sources, trans, {
          source: resolveKernelId(sources, args),
          target: args.target_id as string | undefined
        })
    });
    palette?.addItem({
      command: CommandIDs.transfer,
      category: trans.__('Remote Kernels')
    });
  }
};

/** Whether there is a kernel that has variables now; it may be none of ours. */
function isRunning(
  { remoteKernels }: IRuntimeSources,
  id: string | undefined
): boolean {
  const runtime = id ? remoteKernels.find(id) : undefined;
  return !!id && (!runtime || runtime.phase === 'running');
}

async function transfer(
  sources: IRuntimeSources,
  trans: TranslationBundle,
  places: { source: string | undefined; target: string | undefined }
): Promise<void> {
  const { remoteKernels } = sources;
  let kernels: IKernelChoice[];
  try {
    kernels = await findKernels(sources, trans);
  } catch (error) {
    Notification.error(
      explain(trans.__('The kernels cannot be listed'), error),
      { autoClose: false }
    );
    return;
  }
  const begun = await showTransferDialog({
    remoteKernels,
    trans,
    kernels,
    ...places
  });
  if (begun) {
    const { operation, target } = begun;
    const texts = {
      running: trans.__('Transferring to %1', target.label),
      succeeded: trans.__('Transferred to %1', target.label),
      failed: trans.__('Nothing was transferred to %1', target.label),
      cancelled: trans.__('The transfer to %1 was called off', target.label)
    };
    followOperation({ remoteKernels, trans, texts }, operation);
  }
}
