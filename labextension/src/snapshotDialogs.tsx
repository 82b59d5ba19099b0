import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IOperation, IRuntime } from './api';
import { SelectField, TextField } from './components/fields';
import { RuntimeLosses } from './components/losses';
import { ConflictField, VariableField } from './components/variables';
import { RemoteKernelsError } from './errors';
import { Form, type Problems } from './form';
import { showFormDialog } from './formDialog';
import { asSentences, formatBytes } from './format';
import type { IKernelChoice } from './kernels';
import { snapshotTitle } from './snapshotTexts';
import type { ISnapshot, ISnapshotLabel } from './stateApi';
import type { IRemoteKernels } from './tokens';
import {
  checkChoice,
  requestedNames,
  VariableLists,
  type IVariableChoice
} from './variables';

/** What the dialogs need from around them. */
export interface ISnapshotDialogContext {
  readonly remoteKernels: IRemoteKernels;
  readonly trans: TranslationBundle;
}

interface ILabelValues {
  readonly name: string;
  readonly description: string;
}

/** Ask how a new snapshot is to be called, and begin to take it. */
export function showTakeDialog(
  context: ISnapshotDialogContext,
  runtime: IRuntime
): Promise<IOperation | null> {
  const { remoteKernels, trans } = context;
  const form = new Form<ILabelValues>({ name: '', description: '' });
  const asking = new AbortController();
  return showFormDialog({
    title: trans.__('Snapshot of %1', runtime.name),
    acceptLabel: trans.__('Save'),
    form,
    trans,
    fields: () => (
      <>
        <p>
          {trans.__(
            'Save the variables as they are now. The kernel goes on; while its variables are read, cells wait.'
          )}
        </p>
        <LabelFields form={form} trans={trans} placeholder={runtime.name} />
        <div className="jp-RemoteKernels-losses">
          <RuntimeLosses
            remoteKernels={remoteKernels}
            runtime={runtime}
            trans={trans}
            busyText={trans.__(
              'The kernel is running code. The snapshot is taken when it is idle.'
            )}
            asking={asking}
          />
        </div>
      </>
    ),
    check: () => ({}),
    submit: async values => {
      // A kernel answers one at a time, in turn: this one need not wait for a report nobody reads.
      asking.abort();
      return remoteKernels.snapshots.take(runtime.id, toLabel(values));
    },
    explain: explainText
  });
}

/** Ask for another name of a snapshot, and set it. */
export async function showLabelDialog(
  context: ISnapshotDialogContext,
  snapshot: ISnapshot
): Promise<void> {
  const { remoteKernels, trans } = context;
  const form = new Form<ILabelValues>({
    name: snapshot.name ?? '',
    description: snapshot.description ?? ''
  });
  await showFormDialog({
    title: trans.__('Rename Snapshot'),
    acceptLabel: trans.__('Rename'),
    form,
    trans,
    fields: () => (
      <>
        {snapshot.automatic && (
          <p>
            {trans.__(
              'A pause has taken this snapshot. With a name it is kept until you delete it.'
            )}
          </p>
        )}
        <LabelFields
          form={form}
          trans={trans}
          placeholder={snapshotTitle(snapshot, remoteKernels, trans)}
        />
      </>
    ),
    check: ({ name }): Problems =>
      name.trim() ? {} : { name: trans.__('Write a name.') },
    submit: ({ name, description }) =>
      remoteKernels.snapshots.label(snapshot.id, {
        name: name.trim(),
        description: description.trim()
      }),
    explain: explainText
  });
}

function LabelFields(props: {
  form: Form<ILabelValues>;
  trans: TranslationBundle;
  placeholder: string;
}): React.JSX.Element {
  const { form, trans, placeholder } = props;
  return (
    <>
      <TextField
        name="name"
        label={trans.__('Name')}
        problems={form.problems}
        value={form.values.name}
        placeholder={placeholder}
        onChange={name => form.update({ name })}
      />
      <TextField
        name="description"
        label={trans.__('Description')}
        problems={form.problems}
        value={form.values.description}
        onChange={description => form.update({ description })}
      />
    </>
  );
}

/** What is left empty is not given. */
function toLabel({ name, description }: ILabelValues): ISnapshotLabel {
  return {
    ...(name.trim() ? { name: name.trim() } : {}),
    ...(description.trim() ? { description: description.trim() } : {})
  };
}

function explainText(error: unknown): Problems {
  const { message, hint } = RemoteKernelsError.from(error);
  return { '': asSentences(message, hint) };
}

/** A restore that the server has accepted. */
export interface IRestore {
  readonly operation: IOperation;
  readonly kernel: IKernelChoice;
}

interface IRestoreValues extends IVariableChoice {
  readonly kernel: string;
}

/** Ask into which kernel variables of a snapshot go, and begin to put them there. */
export async function showRestoreDialog(
  context: ISnapshotDialogContext,
  snapshot: ISnapshot,
  kernels: ReadonlyArray<IKernelChoice>
): Promise<IRestore | null> {
  const { remoteKernels, trans } = context;
  const { snapshots } = remoteKernels;
  const lists = new VariableLists((id, signal) =>
    id === snapshot.id
      ? snapshots.read(id)
      : remoteKernels.listVariables(id, signal)
  );
  const form = new Form<IRestoreValues>({
    kernel: kernels[0]?.id ?? '',
    chosen: null,
    on_conflict: 'refuse'
  });
  const submit = async (values: IRestoreValues): Promise<IRestore> => {
    const kernel = kernels.find(({ id }) => id === values.kernel);
    if (!kernel) {
      throw new Error(trans.__('The kernel is gone.'));
    }
    const variables = requestedNames(lists.of(snapshot.id).value, values);
    // A kernel answers one at a time, in turn: this one need not wait for lists nobody looks at.
    lists.stop();
    const operation = await snapshots.restore(snapshot.id, {
      runtime_id: kernel.id,
      variables,
      on_conflict: values.on_conflict
    });
    return { operation, kernel };
  };
  try {
    return await showFormDialog({
      title: trans.__(
        'Restore %1',
        snapshotTitle(snapshot, remoteKernels, trans)
      ),
      acceptLabel: trans.__('Restore'),
      form,
      trans,
      fields: () => (
        <RestoreFields
          {...{ form, lists, kernels, trans }}
          snapshotId={snapshot.id}
        />
      ),
      check: values =>
        values.kernel
          ? checkChoice(
              lists.of(snapshot.id).value,
              lists.of(values.kernel).value,
              values,
              trans
            )
          : { kernel: trans.__('No kernel is running.') },
      submit,
      explain: explainText
    });
  } finally {
    lists.dispose();
  }
}

function RestoreFields(props: {
  form: Form<IRestoreValues>;
  lists: VariableLists;
  kernels: ReadonlyArray<IKernelChoice>;
  snapshotId: string;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { form, lists, kernels, snapshotId, trans } = props;
  const { values, problems } = form;
  const target = kernels.find(({ id }) => id === values.kernel);
  const choice = {
    choice: values,
    problems,
    trans,
    onChange: (changes: Partial<IVariableChoice>) => form.update(changes)
  };
  return (
    <>
      <SelectField
        name="kernel"
        label={trans.__('Into')}
        problems={problems}
        value={values.kernel}
        options={kernels.map(({ id, label }) => ({ value: id, label }))}
        onChange={kernel => form.update({ kernel })}
      />
      <VariableField
        {...choice}
        list={lists.of(snapshotId)}
        waiting={trans.__('Reading the snapshot…')}
      />
      {target && (
        <ConflictField
          {...choice}
          source={lists.of(snapshotId)}
          target={lists.of(target.id)}
          targetName={target.label}
        />
      )}
    </>
  );
}

/** Ask before a snapshot is deleted. */
export async function confirmDeleteSnapshot(
  { remoteKernels, trans }: ISnapshotDialogContext,
  snapshot: ISnapshot
): Promise<boolean> {
  const name = snapshotTitle(snapshot, remoteKernels, trans);
  const { button } = await showDialog({
    title: trans.__('Delete Snapshot?'),
    body: snapshot.problem
      ? trans.__('Delete %1? It cannot be brought back.', name)
      : trans._n(
          'Delete %2 with its variable (%3)? It cannot be brought back.',
          'Delete %2 with its %1 variables (%3)? They cannot be brought back.',
          snapshot.carried,
          name,
          formatBytes(snapshot.total_bytes)
        ),
    buttons: [
      Dialog.cancelButton({
        ariaLabel: trans.__('Cancel deleting the snapshot')
      }),
      Dialog.warnButton({
        label: trans.__('Delete'),
        ariaLabel: trans.__('Delete the snapshot')
      })
    ]
  });
  return button.accept;
}

/** Ask whether a file that this server has not signed is to be trusted. */
export async function confirmTrust(
  fileName: string,
  trans: TranslationBundle
): Promise<boolean> {
  const { button } = await showDialog({
    title: trans.__('Trust This Snapshot?'),
    body: (
      <div className="jp-RemoteKernels-losses">
        <p>
          {trans.__(
            '%1 was made by another server, or was changed since.',
            fileName
          )}
        </p>
        <p>
          {trans.__(
            'To restore a snapshot is to run code that is in it. Trust it only if you know where it comes from.'
          )}
        </p>
      </div>
    ),
    buttons: [
      Dialog.cancelButton({ ariaLabel: trans.__('Cancel the upload') }),
      Dialog.warnButton({
        label: trans.__('Trust'),
        ariaLabel: trans.__('Trust the snapshot and upload it')
      })
    ]
  });
  return button.accept;
}
