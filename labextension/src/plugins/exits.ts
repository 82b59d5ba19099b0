import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Dialog, Notification } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { IExit } from '../api';
import { asSentences } from '../format';
import { isReservationOver } from '../reservations';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

const CAUSE_CLASS = 'jp-RemoteKernels-cause';

/**
 * Says why a kernel ended: in a notification, and in JupyterLab's own dialog about it.
 */
export const exitsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:exits',
  description: 'Tells the user why a remote kernel ended.',
  autoStart: true,
  requires: [IRemoteKernels],
  optional: [INotebookTracker, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ): void => {
    const given = translator ?? nullTranslator;
    const trans = given.load(TRANSLATION_DOMAIN);

    remoteKernels.kernelEnded.connect((_, { runtime, exit }) => {
      // What the user asked for needs no explanation.
      if (runtime.target !== 'running') {
        return;
      }
      const cause = asSentences(exit.message, exit.hint);
      const message = trans.__('%1: %2', runtime.name, cause);
      const offer = (label: string, command: string): Notification.IAction => ({
        label,
        callback: () =>
          void app.commands.execute(command, { runtime_id: runtime.id })
      });
      if (isReservationOver(runtime)) {
        Notification.warning(message, {
          autoClose: false,
          actions: [offer(trans.__('Restart'), CommandIDs.restart)]
        });
      } else {
        Notification.error(message, {
          autoClose: false,
          actions: [offer(trans.__('Show Log'), CommandIDs.showLogs)]
        });
      }
    });

    // JupyterLab says only that the kernel died; the cause goes into the same dialog.
    const title = given.load('jupyterlab').__('Kernel Restarting');
    notebooks?.widgetAdded.connect((_, panel) => {
      panel.sessionContext.statusChanged.connect((context, status) => {
        const id = context.session?.kernel?.id;
        if (status === 'autorestarting' && id && remoteKernels.find(id)) {
          void explainInDialog(remoteKernels, panel, id, title);
        }
      });
    });
  }
};

/** Add the cause to the dialog that JupyterLab opens, or has opened, about a notebook. */
async function explainInDialog(
  remoteKernels: IRemoteKernels,
  panel: NotebookPanel,
  id: string,
  title: string
): Promise<void> {
  const path = panel.sessionContext.session?.path ?? panel.context.path;
  const dialog = await findDialog(title, path);
  await remoteKernels.refreshRuntime(id);
  const exit = remoteKernels.lastExit(id);
  await dialog.ready;
  if (exit && !dialog.isDisposed) {
    addCause(dialog, exit);
  }
}

/** Wait for the dialog with this title about this document. */
function findDialog(title: string, path: string): Promise<Dialog<unknown>> {
  const isIt = (dialog: Dialog<unknown>): boolean => {
    // The text itself is drawn only when it is the dialog's turn.
    const text = dialog.node.ariaLabel ?? '';
    return (
      !dialog.node.querySelector(`.${CAUSE_CLASS}`) &&
      text.includes(title) &&
      text.includes(path)
    );
  };
  return new Promise(resolve => {
    const open = Dialog.tracker.find(isIt);
    if (open) {
      resolve(open);
      return;
    }
    // It waits behind other dialogs, if there are any; it does come.
    const onAdded = (_: unknown, dialog: Dialog<unknown>): void => {
      if (isIt(dialog)) {
        Dialog.tracker.widgetAdded.disconnect(onAdded);
        resolve(dialog);
      }
    };
    Dialog.tracker.widgetAdded.connect(onAdded);
  });
}

function addCause(dialog: Dialog<unknown>, exit: IExit): void {
  const body = dialog.node.querySelector('.jp-Dialog-body');
  for (const text of [exit.message, exit.hint]) {
    if (text && body) {
      const line = document.createElement('p');
      line.className = CAUSE_CLASS;
      line.textContent = asSentences(text);
      body.append(line);
      dialog.node.ariaLabel += ` ${text}`;
    }
  }
}
