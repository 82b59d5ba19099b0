import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IEnvironment, IOperation, IRuntime } from './api';
import { SelectField } from './components/fields';
import { About } from './components/launchFields';
import { LeaseField } from './components/leaseField';
import { RuntimeLosses } from './components/losses';
import { Form, type Problems } from './form';
import { showFormDialog } from './formDialog';
import { isLive } from './format';
import {
  explainLaunch,
  leaseOf,
  startLease,
  type ILeaseValues
} from './launchForm';
import type { IRemoteKernels } from './tokens';

interface IMoveDialogOptions {
  readonly remoteKernels: IRemoteKernels;
  readonly runtime: IRuntime;
  readonly trans: TranslationBundle;
}

/** A move that the server has accepted. */
export interface IMove {
  readonly operation: IOperation;
  readonly environment: IEnvironment;
}

interface IMoveValues extends ILeaseValues {
  readonly environment: string;
}

/** Ask where a runtime is to go on, and begin to move it; `null` when the user gave up. */
export function showMoveDialog(
  options: IMoveDialogOptions
): Promise<IMove | null> {
  const { remoteKernels, runtime, trans } = options;
  const others = remoteKernels.environments.filter(
    ({ name }) => name !== runtime.environment
  );
  const form = new Form<IMoveValues>({
    environment: others[0]?.name ?? '',
    ...(others[0] ? startLease(others[0]) : NO_LEASE)
  });
  return showFormDialog({
    title: trans.__('Move %1', runtime.name),
    acceptLabel: trans.__('Move'),
    form,
    trans,
    fields: () => <MoveFields {...options} form={form} others={others} />,
    check: values => checkMove(values, trans),
    submit: async values => {
      const environment = remoteKernels.findEnvironment(values.environment);
      if (!environment) {
        throw new Error(
          trans.__('The environment %1 is gone.', values.environment)
        );
      }
      const operation = await remoteKernels.move(runtime.id, {
        environment: environment.name,
        ...(values.hasEnd ? { lease_s: leaseOf(values) } : {})
      });
      return { operation, environment };
    },
    explain: error => explainLaunch(error, trans)
  });
}

const NO_LEASE: ILeaseValues = {
  hasEnd: false,
  lease: { amount: '', unit: 'hours' }
};

function checkMove(values: IMoveValues, trans: TranslationBundle): Problems {
  if (!values.environment) {
    return { environment: trans.__('There is no other environment.') };
  }
  return values.hasEnd && !leaseOf(values)
    ? { lease: trans.__('Write a number greater than 0.') }
    : {};
}

function MoveFields(
  props: IMoveDialogOptions & {
    form: Form<IMoveValues>;
    others: ReadonlyArray<IEnvironment>;
  }
): React.JSX.Element {
  const { remoteKernels, runtime, form, others, trans } = props;
  const environment = remoteKernels.findEnvironment(form.values.environment);
  const choose = (name: string): void => {
    const chosen = remoteKernels.findEnvironment(name);
    if (chosen) {
      form.update({ environment: name, ...startLease(chosen) });
    }
  };
  return (
    <>
      <p>
        {isLive(runtime)
          ? trans.__(
              'Its variables are saved, and it goes on with them in the other environment. Its notebooks stay connected. If that fails, it is paused where it is.'
            )
          : trans.__(
              'It is resumed in the other environment. Its notebooks stay connected. If that fails, it stays paused where it is.'
            )}
      </p>
      <SelectField
        name="environment"
        label={trans.__('To')}
        problems={form.problems}
        value={form.values.environment}
        options={others.map(({ name, display_name }) => ({
          value: name,
          label: display_name
        }))}
        onChange={choose}
        hint={environment && <About environment={environment} trans={trans} />}
      />
      {environment && (
        <LeaseField
          remoteKernels={remoteKernels}
          form={form}
          trans={trans}
          environment={environment}
        />
      )}
      {isLive(runtime) && (
        <div className="jp-RemoteKernels-losses">
          <RuntimeLosses
            remoteKernels={remoteKernels}
            runtime={runtime}
            trans={trans}
            busyText={trans.__(
              'The kernel is running code. The move begins when it is idle.'
            )}
          />
        </div>
      )}
    </>
  );
}
