import { UseSignal } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatDuration } from './amounts';
import type { IRuntime, LeasePolicy } from './api';
import { Countdown } from './components/countdown';
import { DurationField, SelectField } from './components/fields';
import {
  describeChange,
  explainExtend,
  leaseChanges,
  leaseFor,
  possibleModes,
  startExtend,
  startMs,
  type ExtendMode,
  type IExtendValues
} from './extendForm';
import { Form, type Problems } from './form';
import { showFormDialog } from './formDialog';
import { formatTime } from './format';
import { leasePolicies } from './launchForm';
import type { IRemoteKernels } from './tokens';

interface IExtendDialogOptions {
  readonly remoteKernels: IRemoteKernels;
  readonly runtime: IRuntime;
  readonly trans: TranslationBundle;
}

/** Ask for another end of a runtime's reservation, and set it. */
export async function showExtendDialog(
  options: IExtendDialogOptions
): Promise<void> {
  const { remoteKernels, runtime, trans } = options;
  const { clock } = remoteKernels;
  const environment = remoteKernels.findEnvironment(runtime.environment);
  const form = new Form(startExtend(runtime, environment));
  const check = (values: IExtendValues): Problems =>
    leaseFor(values, runtime, clock.now()) === undefined
      ? { time: trans.__('Write a number greater than 0.') }
      : {};
  void remoteKernels.usage.refresh();
  await showFormDialog({
    title: trans.__('Extend Reservation of %1', runtime.name),
    acceptLabel: trans.__('Set'),
    form,
    trans,
    fields: () => <ExtendFields {...options} form={form} />,
    check,
    submit: async values => {
      const changes = leaseChanges(values, runtime, clock.now());
      if (Object.keys(changes).length > 0) {
        await remoteKernels.setLease(runtime.id, changes);
      }
    },
    explain: error => explainExtend(error, trans)
  });
}

function ExtendFields(
  props: IExtendDialogOptions & { form: Form<IExtendValues> }
): React.JSX.Element {
  const { remoteKernels, runtime, form, trans } = props;
  const { mode, time } = form.values;
  const environment = remoteKernels.findEnvironment(runtime.environment);
  const labels: Record<ExtendMode, string> = {
    by: trans.__('Longer by'),
    in: trans.__('Ends in'),
    none: trans.__('No end'),
    same: trans.__('Stays as it is')
  };
  const longest = environment?.max_lease_s;
  return (
    <>
      <Now {...props} />
      <SelectField
        name="mode"
        label={trans.__('Change')}
        problems={form.problems}
        value={mode}
        options={possibleModes(runtime, environment).map(value => ({
          value,
          label: labels[value]
        }))}
        onChange={value => form.update({ mode: value as ExtendMode })}
      />
      <DurationField
        name="time"
        label={trans.__('Time')}
        problems={form.problems}
        value={time}
        disabled={mode === 'none' || mode === 'same'}
        trans={trans}
        onChange={value => form.update({ time: value })}
        hint={
          <>
            <Outcome {...props} />
            {typeof longest === 'number' && (
              <div>
                {trans.__('At most %1 in all.', formatDuration(longest, trans))}
              </div>
            )}
          </>
        }
      />
      {mode !== 'none' && (
        <SelectField
          name="lease_policy"
          label={trans.__('When the reservation is over')}
          problems={form.problems}
          value={form.values.lease_policy}
          options={leasePolicies(trans)}
          onChange={value =>
            form.update({ lease_policy: value as LeasePolicy })
          }
        />
      )}
    </>
  );
}

function Now(props: IExtendDialogOptions): React.JSX.Element {
  const { remoteKernels, runtime, trans } = props;
  return runtime.expires_at ? (
    <p>
      {trans.__('Ends at %1.', formatTime(runtime.expires_at))}{' '}
      <Countdown
        runtime={runtime}
        clock={remoteKernels.clock}
        trans={trans}
        format={left => trans.__('%1 left.', left)}
      />
    </p>
  ) : (
    <p>{trans.__('Has no end now.')}</p>
  );
}

function Outcome(
  props: IExtendDialogOptions & { form: Form<IExtendValues> }
): React.JSX.Element {
  const { remoteKernels, runtime, form, trans } = props;
  const { usage, clock } = remoteKernels;
  const lease_s = leaseFor(form.values, runtime, clock.now());
  const end =
    typeof lease_s === 'number'
      ? new Date(startMs(runtime) + lease_s * 1000).toISOString()
      : null;
  return (
    <UseSignal signal={usage.changed}>
      {() => (
        <div aria-live="polite">
          {end ? trans.__('New end: %1.', formatTime(end)) : '\u00a0'}{' '}
          {describeChange(runtime, lease_s, usage.value?.left ?? null, trans)}
        </div>
      )}
    </UseSignal>
  );
}
