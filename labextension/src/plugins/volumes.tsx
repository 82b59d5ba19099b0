import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  Dialog,
  ICommandPalette,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { addIcon, deleteIcon } from '@jupyterlab/ui-components';

import { TextField } from '../components/fields';
import { SectionView } from '../components/section';
import { VolumeList } from '../components/volumes';
import { RemoteKernelsError } from '../errors';
import { Form, type Problems } from '../form';
import { showFormDialog } from '../formDialog';
import { asSentences, formatBytes } from '../format';
import { explain } from '../launch';
import { IKernelsPanel } from '../panel';
import {
  CommandIDs,
  IRemoteKernels,
  TRANSLATION_DOMAIN,
  type IVolumes
} from '../tokens';

/**
 * Adds the user's volumes to the panel.
 */
export const volumesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-remote-kernels:volumes',
  description: 'Lists, creates and deletes volumes.',
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
    const { commands } = app;
    const { volumes } = remoteKernels;
    commands.addCommand(CommandIDs.createVolume, {
      label: trans.__('Create Volume…'),
      caption: trans.__('Create a place for files that outlives runtimes'),
      icon: addIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => createVolume(volumes, trans)
    });
    commands.addCommand(CommandIDs.deleteVolume, {
      label: trans.__('Delete Volume…'),
      icon: deleteIcon,
      isEnabled: args => !!args.volume,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            volume: { type: 'string', description: 'Which volume.' }
          }
        }
      },
      execute: args => deleteVolume(volumes, String(args.volume), trans)
    });
    palette?.addItem({
      command: CommandIDs.createVolume,
      category: trans.__('Remote Kernels')
    });
    panel.addSection({
      id: 'volumes',
      title: trans.__('Volumes'),
      content: new SectionView(
        { remoteKernels, commands, trans },
        remoteKernels.volumes,
        VolumeList
      ),
      rank: 20,
      actions: [
        {
          command: CommandIDs.createVolume,
          caption: trans.__('Create Volume…')
        }
      ],
      isCollapsed: true
    });
  }
};

async function createVolume(
  volumes: IVolumes,
  trans: TranslationBundle
): Promise<void> {
  const form = new Form({ name: '' });
  const check = ({ name }: { name: string }): Problems =>
    name.trim() ? {} : { name: trans.__('Write a name.') };
  await showFormDialog({
    title: trans.__('Create Volume'),
    acceptLabel: trans.__('Create'),
    form,
    trans,
    fields: () => (
      <TextField
        name="name"
        label={trans.__('Name')}
        problems={form.problems}
        value={form.values.name}
        onChange={name => form.update({ name })}
      />
    ),
    check,
    submit: ({ name }) => volumes.create(name.trim()),
    explain: error => {
      const { message, hint } = RemoteKernelsError.from(error);
      return { name: asSentences(message, hint) };
    }
  });
}

async function deleteVolume(
  volumes: IVolumes,
  name: string,
  trans: TranslationBundle
): Promise<void> {
  // Its size now, and not when the list was read.
  await volumes.refresh();
  const size = volumes.value?.find(volume => volume.name === name)?.size_bytes;
  const { button } = await showDialog({
    title: trans.__('Delete Volume?'),
    body:
      typeof size === 'number'
        ? trans.__(
            'Delete %1 with its %2 of files? They cannot be brought back.',
            name,
            formatBytes(size)
          )
        : trans.__(
            'Delete %1 with its files? They cannot be brought back.',
            name
          ),
    buttons: [
      Dialog.cancelButton({
        ariaLabel: trans.__('Cancel deleting the volume')
      }),
      Dialog.warnButton({
        label: trans.__('Delete'),
        ariaLabel: trans.__('Delete the volume')
      })
    ]
  });
  if (!button.accept) {
    return;
  }
  try {
    await volumes.remove(name);
  } catch (error) {
    Notification.error(explain(trans.__('%1 was not deleted', name), error), {
      autoClose: false
    });
  }
}
