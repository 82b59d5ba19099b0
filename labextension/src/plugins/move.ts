import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { IRuntime } from '../api';
import { isLive } from '../format';
import { moveIcon } from '../icons';
import { showMoveDialog } from '../moveDialog';
import { followOperation } from '../operationProgress';
import { resolveRuntime, RUNTIME_ARGS } from '../resolve';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

/**
 * Adds the command that moves a runtime into another environment.
 */
export const movePlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:move',
  description: 'Moves remote kernels into another environment.',
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
    app.commands.addCommand(CommandIDs.move, {
      label: trans.__('Move to…'),
      caption: trans.__('Go on with all variables in another environment'),
      icon: moveIcon,
      isEnabled: args => {
        const runtime = resolveRuntime(sources, args);
        return !!runtime && isMovable(runtime, remoteKernels);
      },
      describedBy: { args: { type: 'object', properties: RUNTIME_ARGS } },
      execute: async args => {
        const runtime = resolveRuntime(sources, args);
        const begun =
          runtime && (await showMoveDialog({ remoteKernels, runtime, trans }));
        if (begun) {
          const { name } = runtime;
          const place = begun.environment.display_name;
          const texts = {
            running: trans.__('Moving %1 to %2', name, place),
            succeeded: trans.__('%1 goes on in %2', name, place),
            failed: trans.__('%1 was not moved to %2', name, place),
            cancelled: trans.__('The move of %1 was called off', name)
          };
          followOperation({ remoteKernels, trans, texts }, begun.operation);
        }
      }
    });
    palette?.addItem({
      command: CommandIDs.move,
      category: trans.__('Remote Kernels')
    });
  }
};

/** Whether it has a state, and there is another place for it. */
function isMovable(
  runtime: IRuntime,
  { environments }: IRemoteKernels
): boolean {
  return (
    (isLive(runtime) || runtime.phase === 'paused') &&
    environments.some(({ name }) => name !== runtime.environment)
  );
}
