import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { addIcon, deleteIcon, editIcon } from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IEnvironment } from '../api';
import { EnvironmentsView } from '../components/environments';
import {
  addEnvironment,
  confirmDeleteEnvironment,
  duplicateEnvironment,
  editEnvironment
} from '../environmentDialog';
import { copyIcon } from '../icons';
import { explain } from '../launch';
import { IKernelsPanel } from '../panel';
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
  const { remoteKernels, trans } = context;
  addRowCommand(context, CommandIDs.editEnvironment, {
    label: trans.__('Edit Environment…'),
    icon: editIcon,
    // The admin's environments are in the admin's files.
    isVisible: environment => environment.kind === 'user',
    run: environment => editEnvironment(context, environment)
  });
  addRowCommand(context, CommandIDs.duplicateEnvironment, {
    label: trans.__('Duplicate Environment…'),
    icon: copyIcon,
    isVisible: () => true,
    run: environment => duplicateEnvironment(context, environment)
  });
  addRowCommand(context, CommandIDs.deleteEnvironment, {
    label: trans.__('Delete Environment…'),
    icon: deleteIcon,
    isVisible: environment => environment.kind === 'user',
    run: async environment => {
      if (await confirmDeleteEnvironment(context, environment)) {
        await remoteKernels.deleteEnvironment(environment.name);
      }
    }
  });
}

/** Add a command about one environment; an error becomes a notification. */
function addRowCommand(
  context: IContext,
  id: string,
  options: {
    label: string;
    icon: LabIcon;
    isVisible: (environment: IEnvironment) => boolean;
    run: (environment: IEnvironment) => Promise<void>;
  }
): void {
  const { label, icon, isVisible, run } = options;
  const find = (args: ReadonlyPartialJSONObject): IEnvironment | undefined => {
    const name = args.fromContextMenu
      ? context.app.contextMenuHitTest(node => !!node.dataset.environment)
          ?.dataset.environment
      : args.environment;
    return context.remoteKernels.findEnvironment(String(name));
  };
  const isPossible = (args: ReadonlyPartialJSONObject): boolean => {
    const environment = find(args);
    return !!environment && isVisible(environment);
  };
  context.app.commands.addCommand(id, {
    label,
    icon,
    isVisible: isPossible,
    isEnabled: isPossible,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          environment: { type: 'string', description: 'Which environment.' },
          fromContextMenu: {
            type: 'boolean',
            description: 'Take the row on which the context menu was opened.'
          }
        }
      }
    },
    execute: async args => {
      const environment = find(args);
      if (!environment) {
        return;
      }
      try {
        await run(environment);
      } catch (error) {
        const { trans } = context;
        Notification.error(
          explain(
            trans.__('%1 was not changed', environment.display_name),
            error
          ),
          { autoClose: false }
        );
      }
    }
  });
}
