import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import {
  deleteIcon,
  downloadIcon,
  editIcon,
  fileUploadIcon
} from '@jupyterlab/ui-components';

import { SectionView } from '../components/section';
import { SnapshotList } from '../components/snapshots';
import { isLive } from '../format';
import { launchRuntimeIcon, restoreIcon, snapshotIcon } from '../icons';
import { followOperation } from '../operationProgress';
import { IKernelsPanel } from '../panel';
import { resolveRuntime, RUNTIME_ARGS } from '../resolve';
import { addRowCommand, type IRowKind } from '../rowCommands';
import { findKernels } from '../runningKernels';
import {
  confirmDeleteSnapshot,
  showLabelDialog,
  showRestoreDialog,
  showTakeDialog
} from '../snapshotDialogs';
import { download, uploadSnapshot } from '../snapshotFiles';
import { snapshotTitle } from '../snapshotTexts';
import type { ISnapshot } from '../stateApi';
import { CommandIDs, IRemoteKernels, TRANSLATION_DOMAIN } from '../tokens';

interface IContext {
  readonly app: JupyterFrontEnd;
  readonly remoteKernels: IRemoteKernels;
  readonly notebooks: INotebookTracker | null;
  readonly trans: TranslationBundle;
}

/**
 * Adds the snapshots to the panel, and what can be done with them.
 */
export const snapshotsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:snapshots',
  description: 'Takes, lists, restores, names, moves and deletes snapshots.',
  autoStart: true,
  requires: [IRemoteKernels, IKernelsPanel],
  optional: [ICommandPalette, INotebookTracker, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    remoteKernels: IRemoteKernels,
    panel: IKernelsPanel,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const context = { app, remoteKernels, notebooks, trans };
    addTake(context);
    addRowCommands(context);
    app.commands.addCommand(CommandIDs.uploadSnapshot, {
      label: trans.__('Upload Snapshot…'),
      caption: trans.__('Take in a snapshot from a file'),
      icon: fileUploadIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => uploadSnapshot(context)
    });
    for (const command of [
      CommandIDs.takeSnapshot,
      CommandIDs.uploadSnapshot
    ]) {
      palette?.addItem({ command, category: trans.__('Remote Kernels') });
    }
    const { commands } = app;
    panel.addSection({
      id: 'snapshots',
      title: trans.__('Snapshots'),
      content: new SectionView(
        { remoteKernels, commands, trans },
        remoteKernels.snapshots,
        SnapshotList
      ),
      rank: 5,
      actions: [
        {
          command: CommandIDs.uploadSnapshot,
          caption: trans.__('Upload Snapshot…')
        }
      ],
      isCollapsed: true
    });
  }
};

function addTake(context: IContext): void {
  const { app, remoteKernels, trans } = context;
  app.commands.addCommand(CommandIDs.takeSnapshot, {
    label: trans.__('Snapshot…'),
    caption: trans.__('Save the variables of a kernel that goes on'),
    icon: snapshotIcon,
    isEnabled: args => {
      const runtime = resolveRuntime(context, args);
      return !!runtime && isLive(runtime);
    },
    describedBy: { args: { type: 'object', properties: RUNTIME_ARGS } },
    execute: async args => {
      const runtime = resolveRuntime(context, args);
      const operation = runtime && (await showTakeDialog(context, runtime));
      if (operation) {
        const { name } = runtime;
        const texts = {
          running: trans.__('Saving the state of %1', name),
          succeeded: trans.__('The state of %1 is saved', name),
          failed: trans.__('The state of %1 was not saved', name),
          cancelled: trans.__('No snapshot of %1 was taken', name)
        };
        followOperation({ remoteKernels, trans, texts }, operation);
      }
    }
  });
}

function addRowCommands(context: IContext): void {
  const { app, remoteKernels, trans } = context;
  const rows: IRowKind<ISnapshot> = {
    app,
    key: 'snapshot',
    description: 'Which snapshot.',
    find: wanted =>
      remoteKernels.snapshots.value?.find(({ id }) => id === wanted),
    describeFailure: snapshot =>
      trans.__(
        'It did not work with %1',
        snapshotTitle(snapshot, remoteKernels, trans)
      )
  };
  addRowCommand(rows, CommandIDs.launchSnapshot, {
    label: trans.__('Start Runtime…'),
    caption: trans.__('Launch a runtime that begins with these variables'),
    icon: launchRuntimeIcon,
    isPossible: isWhole,
    run: async ({ id, environment }) => {
      await app.commands.execute(CommandIDs.launch, {
        snapshot: id,
        ...(environment ? { environment } : {})
      });
    }
  });
  addRowCommand(rows, CommandIDs.restoreSnapshot, {
    label: trans.__('Restore Into…'),
    caption: trans.__('Put variables of it into a kernel that runs'),
    icon: restoreIcon,
    isPossible: isWhole,
    run: snapshot => restore(context, snapshot)
  });
  addRowCommand(rows, CommandIDs.labelSnapshot, {
    label: trans.__('Rename Snapshot…'),
    caption: trans.__('Give the snapshot a name, which also keeps it'),
    icon: editIcon,
    isPossible: isWhole,
    run: snapshot => showLabelDialog(context, snapshot)
  });
  addRowCommand(rows, CommandIDs.downloadSnapshot, {
    label: trans.__('Download Snapshot'),
    caption: trans.__('Save the snapshot as a file'),
    icon: downloadIcon,
    isPossible: isWhole,
    run: async ({ id }) => download(remoteKernels.snapshots.urlOf(id))
  });
  addRowCommand(rows, CommandIDs.deleteSnapshot, {
    label: trans.__('Delete Snapshot…'),
    caption: trans.__('Remove the snapshot for good'),
    icon: deleteIcon,
    isPossible: () => true,
    run: async snapshot => {
      if (await confirmDeleteSnapshot(context, snapshot)) {
        await remoteKernels.snapshots.remove(snapshot.id);
      }
    }
  });
}

function isWhole({ problem }: ISnapshot): boolean {
  return !problem;
}

async function restore(context: IContext, snapshot: ISnapshot): Promise<void> {
  const { remoteKernels, trans } = context;
  const kernels = await findKernels(context, trans);
  const begun = await showRestoreDialog(context, snapshot, kernels);
  if (begun) {
    const title = snapshotTitle(snapshot, remoteKernels, trans);
    const { label } = begun.kernel;
    const texts = {
      running: trans.__('Restoring %1 into %2', title, label),
      succeeded: trans.__('%1 is restored into %2', title, label),
      failed: trans.__('%1 was not restored into %2', title, label),
      cancelled: trans.__('Restoring %1 was called off', title)
    };
    followOperation({ remoteKernels, trans, texts }, begun.operation);
  }
}
