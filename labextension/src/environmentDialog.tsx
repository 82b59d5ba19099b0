import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IEnvironment } from './api';
import { EnvironmentFields } from './components/environmentFields';
import {
  copyName,
  EMPTY_ENVIRONMENT,
  explainEnvironment,
  toEnvironmentSettings,
  toEnvironmentValues,
  type IEnvironmentValues
} from './environmentForm';
import { Form, type Problems } from './form';
import { showFormDialog } from './formDialog';
import { isTerminable } from './format';
import type { IRemoteKernels } from './tokens';

interface IEditorContext {
  readonly remoteKernels: IRemoteKernels;
  readonly trans: TranslationBundle;
}

/** Ask for a new environment, and write it. */
export function addEnvironment(context: IEditorContext): Promise<void> {
  const { trans } = context;
  return showEditor(context, {
    title: trans.__('Add Environment'),
    values: EMPTY_ENVIRONMENT,
    isNew: true
  });
}

/** Ask for changes of a user's environment, and write them. */
export function editEnvironment(
  context: IEditorContext,
  environment: IEnvironment
): Promise<void> {
  const { trans } = context;
  return showEditor(context, {
    title: trans.__('Edit %1', environment.display_name),
    values: toEnvironmentValues(environment),
    isNew: false
  });
}

/** Ask for an environment of the user's that is like another one, and write it. */
export function duplicateEnvironment(
  context: IEditorContext,
  environment: IEnvironment
): Promise<void> {
  const { remoteKernels, trans } = context;
  const taken = new Set(remoteKernels.environments.map(({ name }) => name));
  return showEditor(context, {
    title: trans.__('Duplicate %1', environment.display_name),
    values: {
      ...toEnvironmentValues(environment),
      name: copyName(environment.name, taken),
      display_name: trans.__('%1 (copy)', environment.display_name)
    },
    isNew: true
  });
}

async function showEditor(
  context: IEditorContext,
  options: { title: string; values: IEnvironmentValues; isNew: boolean }
): Promise<void> {
  const { remoteKernels, trans } = context;
  const { title, values, isNew } = options;
  const form = new Form(values);
  const check = (filledIn: IEnvironmentValues): Problems => {
    const { problems } = toEnvironmentSettings(filledIn, trans);
    // To write over another one would be a surprise.
    return isNew && remoteKernels.findEnvironment(filledIn.name.trim())
      ? { ...problems, name: trans.__('There is one of this name already.') }
      : problems;
  };
  await showFormDialog({
    title,
    acceptLabel: trans.__('Save'),
    form,
    trans,
    fields: () => <EnvironmentFields form={form} trans={trans} isNew={isNew} />,
    check,
    submit: filledIn => {
      const { settings } = toEnvironmentSettings(filledIn, trans);
      return remoteKernels.saveEnvironment(filledIn.name.trim(), settings);
    },
    explain: explainEnvironment
  });
}

/** Ask before an environment is deleted. */
export async function confirmDeleteEnvironment(
  { remoteKernels, trans }: IEditorContext,
  environment: IEnvironment
): Promise<boolean> {
  const living = remoteKernels.runtimes.filter(
    runtime => runtime.environment === environment.name && isTerminable(runtime)
  );
  const { button } = await showDialog({
    title: trans.__('Delete Environment?'),
    body: (
      <div className="jp-RemoteKernels-losses">
        <p>
          {trans.__(
            'Delete %1? It cannot be launched any more.',
            environment.display_name
          )}
        </p>
        {living.length > 0 && (
          <>
            <p>
              {trans._n(
                'This runtime of it goes on until it ends or is terminated:',
                'These runtimes of it go on until they end or are terminated:',
                living.length
              )}
            </p>
            <ul>
              {living.map(({ id, name }) => (
                <li key={id}>{name}</li>
              ))}
            </ul>
          </>
        )}
      </div>
    ),
    buttons: [
      Dialog.cancelButton({
        ariaLabel: trans.__('Cancel deleting the environment')
      }),
      Dialog.warnButton({
        label: trans.__('Delete'),
        ariaLabel: trans.__('Delete the environment')
      })
    ]
  });
  return button.accept;
}
