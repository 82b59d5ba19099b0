import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { LeasePolicy } from '../api';
import type { DurationName, IEnvironmentValues } from '../environmentForm';
import type { Form } from '../form';
import { leasePolicies } from '../launchForm';
import {
  Checkbox,
  DurationField,
  Field,
  Group,
  LinesField,
  SelectField,
  TextField
} from './fields';

/** What the fields of the environment editor need. */
export interface IEnvironmentFieldsProps {
  readonly form: Form<IEnvironmentValues>;
  readonly trans: TranslationBundle;
  /** Whether the name can still be chosen. */
  readonly isNew: boolean;
}

/** The fields whose content is a text. */
type TextKey = {
  [K in keyof IEnvironmentValues]: IEnvironmentValues[K] extends string
    ? K
    : never;
}[keyof IEnvironmentValues];

type FlagKey = {
  [K in keyof IEnvironmentValues]: IEnvironmentValues[K] extends boolean
    ? K
    : never;
}[keyof IEnvironmentValues];

/** The fields of the environment editor. */
export function EnvironmentFields(
  props: IEnvironmentFieldsProps
): React.JSX.Element {
  const { trans, isNew } = props;
  return (
    <>
      {isNew && (
        <Text
          {...props}
          name="name"
          label={trans.__('Name')}
          hint={trans.__(
            'Lower-case letters, digits, dots, hyphens; it cannot be changed later.'
          )}
        />
      )}
      <Text
        {...props}
        name="display_name"
        label={trans.__('Display name')}
        placeholder={props.form.values.name}
      />
      <Lines
        {...props}
        name="description"
        label={trans.__('Description')}
        rows={2}
      />
      <div className="jp-RemoteKernels-columns">
        <Text {...props} name="provider" label={trans.__('Provider')} />
        <Text {...props} name="language" label={trans.__('Language')} />
      </div>
      <TimeFields {...props} />
      <ResourceFields {...props} />
      <StorageFields {...props} />
      <StartFields {...props} />
    </>
  );
}

function TimeFields(props: IEnvironmentFieldsProps): React.JSX.Element {
  const { form, trans } = props;
  const duration = (
    name: DurationName,
    label: string,
    hint: string
  ): React.JSX.Element => (
    <DurationField
      name={name}
      label={label}
      hint={hint}
      problems={form.problems}
      value={form.values[name]}
      trans={trans}
      onChange={value => form.update({ [name]: value })}
    />
  );
  return (
    <Group label={trans.__('Time and credits')}>
      <div className="jp-RemoteKernels-columns">
        {duration(
          'default_lease_s',
          trans.__('Usual reservation'),
          trans.__('Empty: no end.')
        )}
        {duration(
          'max_lease_s',
          trans.__('Longest reservation'),
          trans.__('Empty: no limit.')
        )}
      </div>
      {duration(
        'idle_pause_s',
        trans.__('Pause when idle for'),
        trans.__('Empty: never.')
      )}
      <div className="jp-RemoteKernels-columns">
        <Text
          {...props}
          name="credits_per_hour"
          label={trans.__('Credits an hour')}
          isNumber
        />
        <Text
          {...props}
          name="paused_credits_per_hour"
          label={trans.__('While paused')}
          isNumber
        />
      </div>
      <SelectField
        name="lease_policy"
        label={trans.__('When the reservation is over')}
        problems={form.problems}
        value={form.values.lease_policy}
        options={leasePolicies(trans)}
        onChange={value => form.update({ lease_policy: value as LeasePolicy })}
      />
      <SelectField
        name="silence_policy"
        label={trans.__('When nobody has been heard of for long')}
        problems={form.problems}
        value={form.values.silence_policy}
        options={[
          { value: 'terminate', label: trans.__('The runtime ends') },
          { value: 'wait', label: trans.__('The runtime goes on') }
        ]}
        onChange={silence_policy => form.update({ silence_policy })}
      />
    </Group>
  );
}

function ResourceFields(props: IEnvironmentFieldsProps): React.JSX.Element {
  const { trans } = props;
  const row = (group: 'resources' | 'max_resources'): React.JSX.Element => (
    <div className="jp-RemoteKernels-columns">
      <Text {...props} name={`${group}.cpu`} label={trans.__('CPU')} isNumber />
      <Text
        {...props}
        name={`${group}.memory`}
        label={trans.__('Memory')}
        placeholder="4 GiB"
      />
      <Text {...props} name={`${group}.gpu`} label={trans.__('GPU')} isNumber />
    </div>
  );
  return (
    <Group label={trans.__('Resources')}>
      <fieldset>
        <legend>{trans.__('What a runtime gets')}</legend>
        {row('resources')}
      </fieldset>
      <fieldset>
        <legend>{trans.__('What a launch may ask for at most')}</legend>
        {row('max_resources')}
      </fieldset>
    </Group>
  );
}

function StorageFields(props: IEnvironmentFieldsProps): React.JSX.Element {
  const { trans } = props;
  return (
    <Group label={trans.__('Storage and example')}>
      <Text
        {...props}
        name="volume.path"
        label={trans.__('Path of persistent storage')}
      />
      <Flag
        {...props}
        name="volume.default"
        label={trans.__('Launches get it unless they say otherwise')}
      />
      <Text
        {...props}
        name="example_notebook"
        label={trans.__('Example notebook')}
        placeholder="examples/start.ipynb"
      />
    </Group>
  );
}

function StartFields(props: IEnvironmentFieldsProps): React.JSX.Element {
  const { trans } = props;
  return (
    <Group label={trans.__('Start')}>
      <Lines
        {...props}
        name="argv"
        label={trans.__('Command of the kernel')}
        hint={trans.__('One argument per line; empty for Python.')}
      />
      <Lines
        {...props}
        name="options"
        label={trans.__('Options of the provider')}
        hint={trans.__('One NAME = value per line.')}
      />
      <Lines
        {...props}
        name="env"
        label={trans.__('Environment variables')}
        hint={trans.__('One NAME=value per line.')}
      />
      <Text
        {...props}
        name="env_allowed"
        label={trans.__('Variables that a launch may set')}
        hint={trans.__('Names or patterns such as HF_*.')}
      />
      <Text
        {...props}
        name="warm"
        label={trans.__('Runtimes kept ready')}
        isNumber
      />
      <Flag
        {...props}
        name="fork"
        label={trans.__('Start Python kernels from one that is ready')}
      />
    </Group>
  );
}

function Text(
  props: IEnvironmentFieldsProps & {
    name: TextKey;
    label: string;
    hint?: string;
    placeholder?: string;
    isNumber?: boolean;
  }
): React.JSX.Element {
  const { form, name, label, hint, placeholder, isNumber } = props;
  return (
    <TextField
      name={name}
      label={label}
      hint={hint}
      placeholder={placeholder}
      isNumber={isNumber}
      problems={form.problems}
      value={form.values[name]}
      onChange={value => form.update({ [name]: value })}
    />
  );
}

function Lines(
  props: IEnvironmentFieldsProps & {
    name: TextKey;
    label: string;
    hint?: string;
    rows?: number;
  }
): React.JSX.Element {
  const { form, name, label, hint, rows } = props;
  return (
    <LinesField
      name={name}
      label={label}
      hint={hint}
      rows={rows}
      problems={form.problems}
      value={form.values[name]}
      onChange={value => form.update({ [name]: value })}
    />
  );
}

function Flag(
  props: IEnvironmentFieldsProps & { name: FlagKey; label: string }
): React.JSX.Element {
  const { form, name, label } = props;
  return (
    <Field name={name} label="" problems={form.problems}>
      {control => (
        <Checkbox
          name={name}
          id={control.id}
          isInvalid={control['aria-invalid']}
          label={label}
          checked={form.values[name]}
          onChange={checked => form.update({ [name]: checked })}
        />
      )}
    </Field>
  );
}
