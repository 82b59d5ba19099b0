import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IOperation } from './api';
import { SelectField } from './components/fields';
import { ConflictField, VariableField } from './components/variables';
import { RemoteKernelsError } from './errors';
import { Form, type Problems } from './form';
import { showFormDialog } from './formDialog';
import { asSentences } from './format';
import type { IKernelChoice } from './kernels';
import type { IRemoteKernels } from './tokens';
import {
  checkChoice,
  requestedNames,
  VariableLists,
  type IVariableChoice
} from './variables';

/** What the transfer dialog needs from around it. */
export interface ITransferDialogOptions {
  readonly remoteKernels: IRemoteKernels;
  readonly trans: TranslationBundle;
  /** Those that run. */
  readonly kernels: ReadonlyArray<IKernelChoice>;
  /** From which one, if that is known. */
  readonly source: string | undefined;
  /** To which one, if that is known. */
  readonly target: string | undefined;
}

/** A transfer that the server has accepted. */
export interface ITransfer {
  readonly operation: IOperation;
  readonly source: IKernelChoice;
  readonly target: IKernelChoice;
}

interface ITransferValues extends IVariableChoice {
  readonly source: string;
  readonly target: string;
}

type FieldsProps = ITransferDialogOptions & {
  readonly form: Form<ITransferValues>;
  readonly lists: VariableLists;
};

/** Ask which variables go where, and begin to carry them; `null` when the user gave up. */
export async function showTransferDialog(
  options: ITransferDialogOptions
): Promise<ITransfer | null> {
  const { remoteKernels, kernels, trans } = options;
  const lists = new VariableLists((id, signal) =>
    remoteKernels.listVariables(id, signal)
  );
  const form = new Form<ITransferValues>({
    ...startPlaces(options),
    chosen: null,
    on_conflict: 'refuse'
  });
  const find = (id: string): IKernelChoice | undefined =>
    kernels.find(kernel => kernel.id === id);
  const submit = async (values: ITransferValues): Promise<ITransfer> => {
    const [source, target] = [find(values.source), find(values.target)];
    if (!source || !target) {
      throw new Error(trans.__('The kernel is gone.'));
    }
    const variables = requestedNames(lists.of(source.id).value, values);
    // A kernel answers one at a time, in turn: this one need not wait for lists nobody looks at.
    lists.stop();
    const operation = await remoteKernels.transfer({
      source: source.id,
      target: target.id,
      variables,
      on_conflict: values.on_conflict
    });
    return { operation, source, target };
  };
  try {
    return await showFormDialog({
      title: trans.__('Transfer State'),
      acceptLabel: trans.__('Transfer'),
      form,
      trans,
      fields: () => <TransferFields {...options} form={form} lists={lists} />,
      check: values => checkTransfer(values, lists, trans),
      submit,
      explain: explainTransfer
    });
  } finally {
    lists.dispose();
  }
}

function startPlaces({
  kernels,
  source,
  target
}: ITransferDialogOptions): Pick<ITransferValues, 'source' | 'target'> {
  const isThere = (id: string | undefined): id is string =>
    kernels.some(kernel => kernel.id === id);
  const other = (id: string): string =>
    kernels.find(kernel => kernel.id !== id)?.id ?? '';
  if (isThere(source)) {
    return { source, target: isThere(target) ? target : other(source) };
  }
  return isThere(target)
    ? { source: other(target), target }
    : { source: kernels[0]?.id ?? '', target: other(kernels[0]?.id ?? '') };
}

function checkTransfer(
  values: ITransferValues,
  lists: VariableLists,
  trans: TranslationBundle
): Problems {
  const { source, target } = values;
  if (!target || source === target) {
    return { target: trans.__('Choose another kernel.') };
  }
  const { value: found } = lists.of(source);
  return checkChoice(found, lists.of(target).value, values, trans);
}

/** Say which field a refusal is about. */
function explainTransfer(error: unknown): Problems {
  const { reason, message, hint } = RemoteKernelsError.from(error);
  const field = reason === 'name_conflict' ? 'on_conflict' : '';
  return { [field]: asSentences(message, hint) };
}

function TransferFields(props: FieldsProps): React.JSX.Element {
  const { form, kernels, lists, trans } = props;
  const { values, problems } = form;
  const options = kernels.map(({ id, label }) => ({ value: id, label }));
  const source = kernels.find(({ id }) => id === values.source);
  const target = kernels.find(({ id }) => id === values.target);
  if (!source || !target) {
    return (
      <p>
        {trans.__(
          'Variables go from one kernel to another, and fewer than two are running.'
        )}
      </p>
    );
  }
  const choice = {
    choice: values,
    problems,
    trans,
    onChange: (changes: Partial<IVariableChoice>) => form.update(changes)
  };
  return (
    <>
      <SelectField
        name="source"
        label={trans.__('From')}
        problems={problems}
        value={values.source}
        options={options}
        // Names of the one kernel mean nothing in another.
        onChange={id =>
          form.update(
            id === values.target
              ? { source: id, target: values.source, chosen: null }
              : { source: id, chosen: null }
          )
        }
      />
      <SelectField
        name="target"
        label={trans.__('To')}
        problems={problems}
        value={values.target}
        options={options.filter(({ value }) => value !== values.source)}
        onChange={id => form.update({ target: id })}
      />
      <VariableField
        {...choice}
        list={lists.of(source.id)}
        waiting={
          source.isBusy
            ? trans.__(
                'The kernel is running code. Its variables are listed, and carried, when it is idle.'
              )
            : trans.__('Looking at the variables…')
        }
      />
      <ConflictField
        {...choice}
        source={lists.of(source.id)}
        target={lists.of(target.id)}
        targetName={target.label}
      />
    </>
  );
}
