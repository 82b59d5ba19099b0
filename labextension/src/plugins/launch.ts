import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { IStateDB } from '@jupyterlab/statedb';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { launchRuntimeIcon } from '../icons';
import { explain, followLaunch } from '../launch';
import { showLaunchDialog } from '../launchDialog';
import { openOnRuntime } from '../opening';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

const ARGS = {
  environment: {
    type: 'string',
    description: 'Which environment is chosen first.'
  },
  name: { type: 'string', description: 'The name of the runtime.' },
  snapshot: {
    type: 'string',
    description: 'The snapshot whose variables it begins with.'
  },
  cwd: {
    type: 'string',
    description: 'The folder in which the kernel starts.'
  },
  forCurrent: {
    type: 'boolean',
    description: 'Whether the runtime is for the current notebook.'
  },
  fromContextMenu: {
    type: 'boolean',
    description: 'Take the row on which the context menu was opened.'
  }
} as const;

interface IContext {
  readonly app: JupyterFrontEnd;
  readonly remoteKernels: IRemoteKernels;
  readonly notebooks: INotebookTracker | null;
  readonly browser: IDefaultFileBrowser | null;
  readonly state: IStateDB | null;
  readonly trans: TranslationBundle;
}

/**
 * Adds the launch dialog.
 */
export const launchPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:launch',
  description: 'Adds the dialog that launches a runtime.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [
    ICommandPalette,
    INotebookTracker,
    IDefaultFileBrowser,
    IStateDB,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    browser: IDefaultFileBrowser | null,
    state: IStateDB | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const context = { app, remoteKernels, notebooks, browser, state, trans };
    app.commands.addCommand(CommandIDs.launch, {
      label: args =>
        args.isLauncher
          ? trans.__('Remote Kernel…')
          : trans.__('Launch Remote Kernel…'),
      caption: trans.__('Start a runtime of an environment'),
      icon: launchRuntimeIcon,
      isEnabled: () => remoteKernels.environments.length > 0,
      describedBy: { args: { type: 'object', properties: ARGS } },
      execute: args => launch(context, args)
    });
    palette?.addItem({
      command: CommandIDs.launch,
      category: trans.__('Remote Kernels')
    });
  }
};

/** Show the dialog, and open what was asked for; returns the runtime's id. */
async function launch(
  context: IContext,
  args: ReadonlyPartialJSONObject
): Promise<string | null> {
  const { app, remoteKernels, browser, state, trans } = context;
  const notebook = currentNotebook(context);
  const folder = (args.cwd as string | undefined) ?? browser?.model.path;
  const row = args.fromContextMenu
    ? app.contextMenuHitTest(node => !!node.dataset.environment)
    : undefined;
  const launched = await showLaunchDialog({
    remoteKernels,
    trans,
    state,
    folder,
    environment:
      row?.dataset.environment ?? (args.environment as string | undefined),
    name: args.name as string | undefined,
    snapshot: args.snapshot as string | undefined,
    isForCurrent: !!args.forCurrent,
    current: notebook && {
      name: notebook.title.label,
      path: notebook.context.path
    }
  });
  if (!launched) {
    return null;
  }
  const { runtimeId } = launched.launch;
  const { commands } = app;
  const showLogs = (id: string): void => {
    void commands.execute(CommandIDs.showLogs, { runtime_id: id });
  };
  const openNotebook = (id: string): void => {
    void commands.execute(CommandIDs.openNotebook, { runtime_id: id });
  };
  const title = launched.values.name || launched.environment.display_name;
  followLaunch(
    { remoteKernels, trans, showLogs, openNotebook },
    launched.launch,
    title
  );
  try {
    await openOnRuntime({ commands, notebook, folder }, launched);
  } catch (error) {
    Notification.error(
      explain(trans.__('Nothing could be opened on %1', title), error),
      { autoClose: false }
    );
  }
  return runtimeId;
}

/** The notebook in front of the user. */
function currentNotebook(context: IContext): NotebookPanel | null {
  const { app, notebooks } = context;
  const widget = notebooks?.currentWidget ?? null;
  // The tracker remembers a notebook that was left for something else in the main area.
  return widget && widget.isVisible && app.shell.currentWidget === widget
    ? widget
    : null;
}
