import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatNumber } from '../amounts';
import type { IEnvironment, IVolume, LeasePolicy } from '../api';
import type { Form } from '../form';
import { describeResources, formatBytes } from '../format';
import {
  leasePolicies,
  mostAllowed,
  possibleOpenings,
  type ILaunchValues,
  type IOpenings,
  type Opening
} from '../launchForm';
import { describeSnapshot } from '../snapshotTexts';
import type { IRemoteKernels } from '../tokens';
import { Checkbox, Field, Group, SelectField, TextField } from './fields';
import { LeaseField } from './leaseField';

/** The volume of a launch that asks for storage and names none. */
const DEFAULT_VOLUME = 'persistent';

/** Below this path a runtime sees the volumes that it has asked for by name. */
const NAMED_VOLUMES_PATH = '~/volumes';

/** What the fields of the launch dialog need. */
export interface ILaunchFieldsProps {
  readonly remoteKernels: IRemoteKernels;
  readonly form: Form<ILaunchValues>;
  readonly trans: TranslationBundle;
  readonly openings: IOpenings & { readonly currentName: string };
  /** What to fill in when another environment is chosen. */
  readonly startValues: (environment: IEnvironment) => ILaunchValues;
}

/** The fields of the launch dialog. */
export function LaunchFields(props: ILaunchFieldsProps): React.JSX.Element {
  const { remoteKernels, form, trans } = props;
  const { values, problems } = form;
  const environment = remoteKernels.findEnvironment(values.environment);
  const choose = (environmentName: string): void => {
    const chosen = remoteKernels.findEnvironment(environmentName);
    if (chosen) {
      const { name, snapshot } = values;
      form.update({ ...props.startValues(chosen), name, snapshot });
    }
  };
  return (
    <>
      <SelectField
        name="environment"
        label={trans.__('Environment')}
        problems={problems}
        value={values.environment}
        options={remoteKernels.environments.map(({ name, display_name }) => ({
          value: name,
          label: display_name
        }))}
        onChange={choose}
        hint={environment && <About environment={environment} trans={trans} />}
      />
      <TextField
        name="name"
        label={trans.__('Name')}
        problems={problems}
        value={values.name}
        placeholder={environment?.display_name}
        onChange={name => form.update({ name })}
      />
      {environment && <Fields {...props} environment={environment} />}
    </>
  );
}

type FieldsProps = ILaunchFieldsProps & { readonly environment: IEnvironment };

function Fields(props: FieldsProps): React.JSX.Element {
  const { form, trans, environment, openings } = props;
  const labels: Record<Opening, string> = {
    notebook: trans.__('A new notebook'),
    console: trans.__('A new console'),
    example: trans.__('The example notebook'),
    current: trans.__('The current notebook, %1', openings.currentName),
    nothing: trans.__('Nothing')
  };
  const { opening } = form.values;
  return (
    <>
      <LeaseField {...props} />
      <PolicyField {...props} />
      <StorageField {...props} />
      <SnapshotField {...props} />
      <SelectField
        name="opening"
        label={trans.__('Open')}
        problems={form.problems}
        value={opening}
        options={possibleOpenings(environment, openings).map(value => ({
          value,
          label: labels[value]
        }))}
        onChange={value => form.update({ opening: value as Opening })}
        hint={
          opening === 'current' &&
          trans.__('The kernel that it has now will be shut down.')
        }
      />
      <ResourceFields {...props} />
    </>
  );
}

/** What an environment is for, where it runs, and what it gives. */
export function About(props: {
  environment: IEnvironment;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { environment, trans } = props;
  const facts = [
    environment.provider,
    describeResources(environment.resources, trans)
  ].filter(text => !!text);
  return (
    <>
      {environment.description && (
        <div className="jp-RemoteKernels-description">
          {environment.description}
        </div>
      )}
      <div>{facts.join(' · ')}</div>
    </>
  );
}

function PolicyField(props: FieldsProps): React.JSX.Element | null {
  const { form, trans } = props;
  // What has no end needs no rule for it.
  return form.values.hasEnd ? (
    <SelectField
      name="lease_policy"
      label={trans.__('When the reservation is over')}
      problems={form.problems}
      value={form.values.lease_policy}
      options={leasePolicies(trans)}
      onChange={value => form.update({ lease_policy: value as LeasePolicy })}
    />
  ) : null;
}

/** Offered where there is one: most launches begin with nothing. */
function SnapshotField(props: FieldsProps): React.JSX.Element {
  const { remoteKernels, form, trans } = props;
  const { snapshots } = remoteKernels;
  React.useEffect(() => void snapshots.refresh(), [snapshots]);
  return (
    <UseSignal signal={snapshots.changed}>
      {() => {
        const usable = (snapshots.value ?? []).filter(
          ({ id, problem }) => !problem || id === form.values.snapshot
        );
        if (usable.length === 0) {
          return null;
        }
        const chosen = usable.find(({ id }) => id === form.values.snapshot);
        return (
          <SelectField
            name="snapshot"
            label={trans.__('Start with')}
            problems={form.problems}
            value={form.values.snapshot}
            options={[
              { value: '', label: trans.__('No variables') },
              ...usable.map(snapshot => ({
                value: snapshot.id,
                label: describeSnapshot(snapshot, remoteKernels, trans)
              }))
            ]}
            onChange={snapshot => form.update({ snapshot })}
            hint={
              chosen &&
              trans._n(
                'One variable, %2.',
                '%1 variables, %2.',
                chosen.carried,
                formatBytes(chosen.total_bytes)
              )
            }
          />
        );
      }}
    </UseSignal>
  );
}

function StorageField(props: FieldsProps): React.JSX.Element {
  const { remoteKernels, form, trans, environment } = props;
  const { volumes } = remoteKernels;
  React.useEffect(() => void volumes.refresh(), [volumes]);
  return (
    <UseSignal signal={volumes.changed}>
      {() => (
        <Field
          name="volumes"
          label={trans.__('Persistent storage')}
          problems={form.problems}
          hint={trans.__('What is kept there outlives the runtime.')}
        >
          {control => (
            <div role="group" aria-label={trans.__('Persistent storage')}>
              <Checkbox
                name="persistent"
                label={trans.__('As %1', environment.volume.path)}
                checked={form.values.persistent}
                id={control.id}
                isInvalid={control['aria-invalid']}
                onChange={persistent => form.update({ persistent })}
              />
              <VolumeChoice {...props} />
            </div>
          )}
        </Field>
      )}
    </UseSignal>
  );
}

/** Those that can be chosen besides the default one. */
function namedVolumes(remoteKernels: IRemoteKernels): IVolume[] {
  const all = remoteKernels.volumes.value ?? [];
  return all.filter(({ name }) => name !== DEFAULT_VOLUME);
}

function VolumeChoice(props: FieldsProps): React.JSX.Element | null {
  const { remoteKernels, form, trans } = props;
  const chosen = form.values.volumes;
  const toggle = (name: string, isChosen: boolean): void => {
    const others = chosen.filter(volume => volume !== name);
    form.update({ volumes: isChosen ? [...others, name] : others });
  };
  return (
    <>
      {namedVolumes(remoteKernels).map(({ name, size_bytes }) => (
        <Checkbox
          key={name}
          name={`volume-${name}`}
          label={[
            trans.__('As %1', `${NAMED_VOLUMES_PATH}/${name}`),
            size_bytes === null ? '' : `(${formatBytes(size_bytes)})`
          ].join(' ')}
          checked={chosen.includes(name)}
          onChange={isChosen => toggle(name, isChosen)}
        />
      ))}
    </>
  );
}

function ResourceFields(props: FieldsProps): React.JSX.Element {
  const { form, trans, environment } = props;
  const { values, problems } = form;
  const most = (
    key: 'cpu' | 'memory_bytes' | 'gpu',
    format: (value: number) => string
  ): string => {
    const limit = mostAllowed(environment, key);
    return limit === null
      ? trans.__('No limit.')
      : trans.__('At most %1.', format(limit));
  };
  const field = (
    name: 'cpu' | 'memory' | 'gpu',
    label: string,
    hint: string
  ): React.JSX.Element => (
    <TextField
      name={name}
      label={label}
      problems={problems}
      isNumber={name !== 'memory'}
      value={values[name]}
      hint={hint}
      onChange={value => form.update({ [name]: value })}
    />
  );
  return (
    <Group label={trans.__('Resources')}>
      <div className="jp-RemoteKernels-columns">
        {field('cpu', trans.__('CPU'), most('cpu', formatNumber))}
        {field('memory', trans.__('Memory'), most('memory_bytes', formatBytes))}
        {/* Where nobody has said how many there are, there is none to ask for. */}
        {mostAllowed(environment, 'gpu') !== null &&
          field('gpu', trans.__('GPU'), most('gpu', formatNumber))}
      </div>
    </Group>
  );
}
