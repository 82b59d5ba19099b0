import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IEnvironment } from './api';
import { recall, remember } from './choices';
import { LaunchFields } from './components/launchFields';
import { Form } from './form';
import { showFormDialog } from './formDialog';
import {
  checkLaunch,
  choicesOf,
  explainLaunch,
  startValues,
  toLaunchRequest,
  type ILaunchValues
} from './launchForm';
import type { ILaunch, IRemoteKernels } from './tokens';

/** What the launch dialog needs from around it. */
export interface ILaunchDialogOptions {
  readonly remoteKernels: IRemoteKernels;
  readonly trans: TranslationBundle;
  readonly state: IStateDB | null;
  /** The environment to start with; else the one that was launched last. */
  readonly environment?: string;
  readonly name?: string;
  /** The snapshot that is chosen first. */
  readonly snapshot?: string;
  /** The notebook that could use the runtime. */
  readonly current: { readonly name: string; readonly path: string } | null;
  /** Whether the current notebook is what the runtime is for. */
  readonly isForCurrent: boolean;
  /** The folder in which kernels start. */
  readonly folder: string | undefined;
}

/** A launch that the server has accepted, and what was filled in for it. */
export interface ILaunched {
  readonly launch: ILaunch;
  readonly values: ILaunchValues;
  readonly environment: IEnvironment;
}

/** Ask what to launch, and launch it; `null` when the user gave up. */
export async function showLaunchDialog(
  options: ILaunchDialogOptions
): Promise<ILaunched | null> {
  const { remoteKernels, trans, state, current } = options;
  const remembered = await recall(state);
  const openings = {
    hasCurrent: !!current,
    currentName: current?.name ?? ''
  };
  const start = (environment: IEnvironment): ILaunchValues => {
    const choices = remembered.choices[environment.name];
    const values = startValues(environment, choices, openings);
    return options.isForCurrent && current
      ? { ...values, opening: 'current' }
      : values;
  };
  const first =
    remoteKernels.findEnvironment(options.environment ?? '') ??
    remoteKernels.findEnvironment(remembered.environment ?? '') ??
    remoteKernels.environments[0];
  const form = new Form({
    ...start(first),
    name: options.name ?? '',
    snapshot: options.snapshot ?? ''
  });
  return showFormDialog({
    title: trans.__('Launch Remote Kernel'),
    acceptLabel: trans.__('Launch'),
    form,
    trans,
    fields: () => (
      <LaunchFields
        remoteKernels={remoteKernels}
        form={form}
        trans={trans}
        openings={openings}
        startValues={start}
      />
    ),
    check: values => checkLaunch(values, trans),
    submit: values => submit(options, values),
    explain: error => explainLaunch(error, trans)
  });
}

async function submit(
  options: ILaunchDialogOptions,
  filledIn: ILaunchValues
): Promise<ILaunched> {
  const { remoteKernels, state, current, folder } = options;
  const environment = remoteKernels.findEnvironment(filledIn.environment);
  if (!environment) {
    throw new Error(
      options.trans.__('The environment %1 is gone.', filledIn.environment)
    );
  }
  // A volume that was chosen last time may have been deleted since.
  const known = remoteKernels.volumes.value?.map(({ name }) => name);
  const values = {
    ...filledIn,
    volumes: filledIn.volumes.filter(name => known?.includes(name) ?? true)
  };
  const path = values.opening === 'current' ? current?.path : folder;
  const request = toLaunchRequest(values, environment, path);
  const launch = await remoteKernels.launch(request);
  await remember(state, values.environment, choicesOf(values));
  return { launch, values, environment };
}
