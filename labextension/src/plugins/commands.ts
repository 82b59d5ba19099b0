import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { notebookIcon, refreshIcon, stopIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';

import type { IRuntime } from '../api';
import { askName, confirmRestart, confirmTerminate } from '../dialogs';
import { isComing, isLive, isRestartable, isTerminable } from '../format';
import { renameIcon, terminateIcon } from '../icons';
import { explain } from '../launch';
import { isReservationOver } from '../reservations';
import {
  resolveRuntime,
  resolveRuntimes,
  RUNTIME_ARGS,
  RUNTIMES_ARGS,
  type IRuntimeSources
} from '../resolve';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

const PLUGIN_ID = 'jupyter-remote-kernels:commands';
const CONFIRM_RESTART = 'confirmRestart';

/**
 * Adds every action on runtimes and environments as a command.
 */
export const commandsPlugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Adds the commands of remote kernels.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [ICommandPalette, INotebookTracker, ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    settings: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const context: ICommandContext = {
      app,
      remoteKernels,
      notebooks,
      settings,
      trans
    };
    addRuntimeCommands(context);
    addTerminate(context);
    addOpenNotebook(context);
    addGeneralCommands(context);
    remoteKernels.changed.connect(() => {
      app.commands.notifyCommandChanged();
    });
    for (const command of [
      CommandIDs.refresh,
      CommandIDs.openNotebook,
      CommandIDs.interrupt,
      CommandIDs.restart,
      CommandIDs.rename,
      CommandIDs.terminate
    ]) {
      palette?.addItem({ command, category: trans.__('Remote Kernels') });
    }
  }
};

interface ICommandContext extends IRuntimeSources {
  readonly settings: ISettingRegistry | null;
  readonly trans: TranslationBundle;
}

/** Add a command about one runtime; an error becomes a notification. */
function addRuntimeCommand(
  context: ICommandContext,
  id: string,
  options: {
    label: string;
    caption: string;
    icon: CommandRegistry.ICommandOptions['icon'];
    failure: string;
    isEnabled: (runtime: IRuntime) => boolean;
    run: (
      runtime: IRuntime,
      args: ReadonlyPartialJSONObject
    ) => Promise<unknown>;
    args?: ReadonlyJSONObject;
  }
): void {
  const { label, caption, icon, failure, isEnabled, run } = options;
  context.app.commands.addCommand(id, {
    label,
    caption,
    icon,
    isEnabled: args => {
      const runtime = resolveRuntime(context, args);
      return !!runtime && isEnabled(runtime);
    },
    describedBy: {
      args: {
        type: 'object',
        properties: { ...RUNTIME_ARGS, ...options.args }
      }
    },
    execute: async args => {
      const runtime = resolveRuntime(context, args);
      if (!runtime) {
        return;
      }
      try {
        await run(runtime, args);
      } catch (error) {
        Notification.error(explain(failure, error), { autoClose: false });
      }
    }
  });
}

function addRuntimeCommands(context: ICommandContext): void {
  const { remoteKernels, trans } = context;
  addRuntimeCommand(context, CommandIDs.interrupt, {
    label: trans.__('Interrupt Kernel'),
    caption: trans.__('Stop the code that the kernel is running'),
    icon: stopIcon,
    failure: trans.__('The kernel could not be interrupted'),
    isEnabled: isLive,
    run: runtime => remoteKernels.interrupt(runtime.id)
  });
  addRuntimeCommand(context, CommandIDs.restart, {
    label: trans.__('Restart Kernel…'),
    caption: trans.__('Start the kernel anew in its runtime'),
    icon: refreshIcon,
    failure: trans.__('The kernel could not be restarted'),
    isEnabled: isRestartable,
    run: runtime => restart(context, runtime)
  });
  addRuntimeCommand(context, CommandIDs.rename, {
    label: trans.__('Rename Runtime…'),
    caption: trans.__('Give the runtime another name'),
    icon: renameIcon,
    failure: trans.__('The runtime could not be renamed'),
    isEnabled: isTerminable,
    args: { name: { type: 'string', description: 'The new name.' } },
    run: async (runtime, args) => {
      const name =
        (args.name as string | undefined) ?? (await askName(runtime, trans));
      if (name) {
        await remoteKernels.rename(runtime.id, name);
      }
    }
  });
}

function addTerminate(context: ICommandContext): void {
  const { app, remoteKernels, trans } = context;
  app.commands.addCommand(CommandIDs.terminate, {
    label: trans.__('Terminate Runtime…'),
    caption: trans.__('Shut down the kernel and give its compute back'),
    icon: terminateIcon,
    isEnabled: args => resolveRuntimes(context, args).some(isTerminable),
    describedBy: { args: { type: 'object', properties: RUNTIMES_ARGS } },
    execute: async args => {
      const runtimes = resolveRuntimes(context, args).filter(isTerminable);
      if (
        runtimes.length === 0 ||
        !(await confirmTerminate(runtimes, remoteKernels, trans))
      ) {
        return;
      }
      const ended = await Promise.allSettled(
        runtimes.map(({ id }) => remoteKernels.terminate(id))
      );
      ended.forEach((outcome, index) => {
        if (outcome.status === 'rejected') {
          const what = trans.__(
            '%1 could not be terminated',
            runtimes[index].name
          );
          Notification.error(explain(what, outcome.reason), {
            autoClose: false
          });
        }
      });
      // The documents that used them learn of it now and not at JupyterLab's next look.
      await app.serviceManager.sessions.refreshRunning();
    }
  });
}

async function restart(
  context: ICommandContext,
  runtime: IRuntime
): Promise<void> {
  const { notebooks, remoteKernels } = context;
  // After the end of a reservation nothing is left that could be lost.
  if (!isReservationOver(runtime) && !(await mayRestart(context, runtime))) {
    return;
  }
  const panel = notebooks?.find(
    ({ sessionContext }) => sessionContext.session?.kernel?.id === runtime.id
  );
  // A notebook that restarts its own kernel also clears what waits in its cells.
  const kernel = panel?.sessionContext.session?.kernel;
  if (kernel) {
    remoteKernels.forgetExit(runtime.id);
    await kernel.restart();
    remoteKernels.invalidate(runtime.id);
  } else {
    await remoteKernels.restart(runtime.id);
  }
}

/** Ask, unless the user does not want to be asked. */
async function mayRestart(
  { settings, trans }: ICommandContext,
  runtime: IRuntime
): Promise<boolean> {
  const mine = await settings?.load(PLUGIN_ID);
  if (mine?.composite[CONFIRM_RESTART] === false) {
    return true;
  }
  const { accept, ask } = await confirmRestart(runtime, trans);
  if (accept && !ask) {
    await mine?.set(CONFIRM_RESTART, false);
  }
  return accept;
}

function addOpenNotebook(context: ICommandContext): void {
  const { app, trans } = context;
  addRuntimeCommand(context, CommandIDs.openNotebook, {
    label: trans.__('Open Notebook'),
    caption: trans.__('Open the notebook of this runtime, or a new one on it'),
    icon: notebookIcon,
    failure: trans.__('The notebook could not be opened'),
    isEnabled: runtime => isLive(runtime) || isComing(runtime),
    args: {
      path: {
        type: 'string',
        description:
          'Which notebook; without it the first one that is connected.'
      }
    },
    run: async (runtime, args) => {
      const connected = runtime.notebooks.find(
        ({ type }) => type === 'notebook'
      );
      const path = (args.path as string | undefined) ?? connected?.path;
      if (path) {
        await app.commands.execute('docmanager:open', { path });
      } else {
        await app.commands.execute('notebook:create-new', {
          kernelId: runtime.id,
          kernelName: runtime.kernel_name
        });
      }
    }
  });
}

function addGeneralCommands(context: ICommandContext): void {
  const { app, remoteKernels, trans } = context;
  const { commands } = app;
  commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Remote Kernels'),
    caption: trans.__('Ask the server again'),
    icon: refreshIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: () => remoteKernels.refresh()
  });
}
