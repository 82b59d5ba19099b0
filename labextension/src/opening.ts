import type { NotebookPanel } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';

import type { ILaunched } from './launchDialog';

/** Where things are opened. */
export interface IOpeningContext {
  readonly commands: CommandRegistry;
  /** The notebook for which the dialog was opened. */
  readonly notebook: NotebookPanel | null;
  readonly folder: string | undefined;
}

/**
 * Open what was asked for on a new runtime.
 *
 * Nothing has to be waited for: a kernel that is not there yet answers, and its cells wait.
 */
export async function openOnRuntime(
  context: IOpeningContext,
  { launch, values, environment }: ILaunched
): Promise<void> {
  const { commands, notebook, folder } = context;
  const id = launch.runtimeId;
  switch (values.opening) {
    case 'notebook':
      await commands.execute('notebook:create-new', {
        cwd: folder,
        kernelId: id,
        kernelName: environment.kernel_name
      });
      break;
    case 'console':
      await commands.execute('console:create', {
        basePath: folder ?? '',
        kernelPreference: { id, name: environment.kernel_name }
      });
      break;
    case 'example':
      if (launch.notebook) {
        await commands.execute('docmanager:open', {
          path: launch.notebook,
          kernel: { id, name: environment.kernel_name }
        });
      }
      break;
    case 'current':
      await notebook?.sessionContext.changeKernel({ id });
      break;
    case 'nothing':
      break;
  }
}
