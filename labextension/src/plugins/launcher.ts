import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs } from '../tokens';

/**
 * Adds a card to the launcher that opens the launch dialog.
 */
export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:launcher',
  description: 'Adds a card for remote kernels to the launcher.',
  autoStart: true,
  requires: [ILauncher],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    launcher: ILauncher,
    translator: ITranslator | null
  ): void => {
    // The category is JupyterLab's own, and so is the translation of its name.
    const trans = (translator ?? nullTranslator).load('jupyterlab');
    // The dialog is a plugin of its own, which may be disabled.
    void app.started.then(() => {
      if (app.commands.hasCommand(CommandIDs.launch)) {
        launcher.add({
          command: CommandIDs.launch,
          args: { isLauncher: true },
          category: trans.__('Other'),
          // Behind the first card, whose icon stands for the whole category.
          rank: 0.5
        });
      }
    });
  }
};
