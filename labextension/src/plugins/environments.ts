import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { addIcon, deleteIcon, editIcon } from '@jupyterlab/ui-components';

import type { IEnvironment } from '../api';
import { EnvironmentsView } from '../components/environments';
import {
  addEnvironment,
  confirmDeleteEnvironment,
  duplicateEnvironment,
  editEnvironment
} from '../environmentDialog';
import { copyIcon } from '../icons';
import { IKernelsPanel } from '../panel';
import { addRowCommand, type IRowKind } from '../rowCommands';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

interface IContext {
  readonly app: JupyterFrontEnd;
  readonly remoteKernels: IRemoteKernels;
  readonly trans: TranslationBundle;
}

/**
 * Adds the environments to the panel, and the editor for the user's own.
 */
export const environmentsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:environments',
  description: 'Lists the environments, and edits those of the user.',
  autoStart: true,
  requires: [IRemoteKernels, IKernelsPanel],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    panel: IKernelsPanel,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const context = { app, remoteKernels, trans };
    app.commands.addCommand(CommandIDs.addEnvironment, {
      label: trans.__('Add Environment…'),
      caption: trans.__('Describe a new environment of your own'),
      icon: addIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => addEnvironment(context)
    });
    addRowCommands(context);
    palette?.addItem({
      command: CommandIDs.addEnvironment,
      category: trans.__('Remote Kernels')
    });
    const { commands } = app;
    panel.addSection({
      id: 'environments',
      title: trans.__('Environments'),
      content: new EnvironmentsView({ remoteKernels, commands, trans }),
      rank: 10,
      actions: [
        {
          command: CommandIDs.addEnvironment,
          caption: trans.__('Add Environment…')
        }
      ]
    });
  }
};

function addRowCommands(context: IContext): void {
  const { app, remoteKernels, trans } = context;
  const rows: IRowKind<IEnvironment> = {
    app,
    key: 'environment',
    description: 'Which environment.',
    find: wanted => remoteKernels.findEnvironment(String(wanted)),
    describeFailure: ({ display_name }) =>
      trans.__('%1 was not changed', display_name)
  };
  addRowCommand(rows, CommandIDs.editEnvironment, {
    label: trans.__('Edit Environment…'),
    icon: editIcon,
    // The admin's environments are in the admin's files.
    isHidden: true,
    isPossible: ({ kind }) => kind === 'user',
    run: environment => editEnvironment(context, environment)
  });
  addRowCommand(rows, CommandIDs.duplicateEnvironment, {
    label: trans.__('Duplicate Environment…'),
    icon: copyIcon,
    isHidden: true,
    isPossible: () => true,
    run: environment => duplicateEnvironment(context, environment)
  });
  addRowCommand(rows, CommandIDs.deleteEnvironment, {
    label: trans.__('Delete Environment…'),
    icon: deleteIcon,
    isHidden: true,
    isPossible: ({ kind }) => kind === 'user',
    run: async environment => {
      if (await confirmDeleteEnvironment(context, environment)) {
        await remoteKernels.deleteEnvironment(environment.name);
      }
    }
  });
}
