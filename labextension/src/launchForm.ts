/**
 * The launch dialog without its looks: from an environment to what is filled in, and from there
 * to a request. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import {
  HOUR_S,
  formatCredits,
  formatDuration,
  formatNumber,
  parseDuration,
  parseMemory,
  parseNumber,
  toDurationInput,
  writeMemory,
  type IDurationInput
} from './amounts';
import type {
  IEnvironment,
  IEstimate,
  ILaunchRequest,
  ILimit,
  IRequestedResources,
  LeasePolicy
} from './api';
import { RemoteKernelsError } from './errors';
import type { Problems } from './form';
import { asSentences, formatBytes } from './format';

/** What is opened on the new runtime. */
export type Opening =
  'notebook' | 'console' | 'example' | 'current' | 'nothing';

/** A time reservation as it was typed. */
export interface ILeaseValues {
  readonly hasEnd: boolean;
  readonly lease: IDurationInput;
}

/** What a person fills in. Amounts are kept as they were typed. */
export interface ILaunchValues extends ILeaseValues {
  readonly environment: string;
  readonly name: string;
  readonly lease_policy: LeasePolicy;
  /** The id of the snapshot that it begins with; empty without one. */
  readonly snapshot: string;
  readonly persistent: boolean;
  readonly volumes: ReadonlyArray<string>;
  readonly cpu: string;
  readonly memory: string;
  readonly gpu: string;
  readonly opening: Opening;
}

/** What is remembered of the last launch of an environment. */
export type LaunchChoices = Omit<
  ILaunchValues,
  'environment' | 'name' | 'snapshot'
>;

/** What can be opened besides the usual things. */
export interface IOpenings {
  /** Whether there is a notebook that could use the runtime. */
  readonly hasCurrent: boolean;
}

/** Which things can be opened on a runtime of an environment. */
export function possibleOpenings(
  environment: IEnvironment,
  { hasCurrent }: IOpenings
): Opening[] {
  return [
    'notebook',
    'console',
    ...(environment.example_notebook ? (['example'] as const) : []),
    ...(hasCurrent ? (['current'] as const) : []),
    'nothing'
  ];
}

/** Whether a launch can be without an end: what names no time gets the environment's. */
export function canHaveNoEnd(environment: IEnvironment): boolean {
  return (
    environment.default_lease_s === null && environment.max_lease_s === null
  );
}

/** The reservation that an environment usually gives. */
export function startLease(environment: IEnvironment): ILeaseValues {
  const usual_s = environment.default_lease_s ?? environment.max_lease_s;
  return {
    hasEnd: usual_s !== null,
    lease: toDurationInput(usual_s ?? HOUR_S)
  };
}

/** What can become of a runtime when its reservation is over. */
export function leasePolicies(
  trans: TranslationBundle
): { value: LeasePolicy; label: string }[] {
  return [
    { value: 'terminate', label: trans.__('The runtime ends') },
    { value: 'pause', label: trans.__('The runtime is paused') }
  ];
}

/** What the dialog starts with: the last choices, as far as they are still possible. */
export function startValues(
  environment: IEnvironment,
  choices: LaunchChoices | undefined,
  openings: IOpenings
): ILaunchValues {
  const { resources } = environment;
  const values: ILaunchValues = {
    environment: environment.name,
    name: '',
    ...startLease(environment),
    lease_policy: environment.lease_policy,
    snapshot: '',
    persistent: environment.volume.default,
    volumes: [],
    cpu: resources.cpu === null ? '' : String(resources.cpu),
    memory:
      resources.memory_bytes === null
        ? ''
        : writeMemory(resources.memory_bytes),
    gpu: resources.gpu === null ? '' : String(resources.gpu),
    opening: 'notebook',
    ...choices
  };
  const isPossible = possibleOpenings(environment, openings).includes(
    values.opening
  );
  return {
    ...values,
    hasEnd: values.hasEnd || !canHaveNoEnd(environment),
    opening: isPossible ? values.opening : 'notebook'
  };
}

/** What to remember of a launch. */
export function choicesOf(values: ILaunchValues): LaunchChoices {
  const { hasEnd, lease, lease_policy, persistent, volumes, opening } = values;
  const { cpu, memory, gpu } = values;
  const when = { hasEnd, lease, lease_policy };
  return { ...when, persistent, volumes, cpu, memory, gpu, opening };
}

/** The reservation that is filled in, in seconds; `undefined` when it cannot be read. */
export function leaseOf(values: ILeaseValues): number | null | undefined {
  return values.hasEnd ? (parseDuration(values.lease) ?? undefined) : null;
}

/** What cannot be read. What is allowed is for the server to say. */
export function checkLaunch(
  values: ILaunchValues,
  trans: TranslationBundle
): Problems {
  const problems: Record<string, string> = {};
  if (!values.environment) {
    problems.environment = trans.__('Choose an environment.');
  }
  if (values.hasEnd && !leaseOf(values)) {
    problems.lease = trans.__('Write a number greater than 0.');
  }
  for (const key of ['cpu', 'gpu'] as const) {
    if (values[key].trim() && parseNumber(values[key]) === null) {
      problems[key] = trans.__('Write a number.');
    }
  }
  if (values.memory.trim() && parseMemory(values.memory) === null) {
    problems.memory = trans.__('Write a size, for example 4 GiB.');
  }
  return problems;
}

/** The request for what is filled in and has been checked. */
export function toLaunchRequest(
  values: ILaunchValues,
  environment: IEnvironment,
  path: string | undefined
): ILaunchRequest {
  const resources = requestedResources(values, environment);
  const name = values.name.trim();
  return {
    environment: values.environment,
    ...(name ? { name } : {}),
    ...(path ? { path } : {}),
    ...(values.hasEnd ? { lease_s: leaseOf(values) } : {}),
    ...(values.hasEnd && values.lease_policy !== environment.lease_policy
      ? { lease_policy: values.lease_policy }
      : {}),
    ...(values.snapshot ? { snapshot: values.snapshot } : {}),
    persistent: values.persistent,
    ...(values.volumes.length > 0 ? { volumes: values.volumes } : {}),
    ...(Object.keys(resources).length > 0 ? { resources } : {}),
    ...(values.opening === 'example' ? { notebook: true } : {})
  };
}

/** Only what differs from the environment's own amounts. */
function requestedResources(
  values: ILaunchValues,
  environment: IEnvironment
): IRequestedResources {
  const usual = startValues(environment, undefined, { hasCurrent: false });
  const asked: { cpu?: number; memory_bytes?: number; gpu?: number } = {};
  if (values.cpu.trim() && values.cpu !== usual.cpu) {
    asked.cpu = parseNumber(values.cpu) ?? undefined;
  }
  if (values.memory.trim() && values.memory !== usual.memory) {
    asked.memory_bytes = parseMemory(values.memory) ?? undefined;
  }
  if (values.gpu.trim() && values.gpu !== usual.gpu) {
    asked.gpu = parseNumber(values.gpu) ?? undefined;
  }
  return asked;
}

/** The most that a launch may ask for; `null` without a limit. */
export function mostAllowed(
  environment: IEnvironment,
  key: 'cpu' | 'memory_bytes' | 'gpu'
): number | null {
  return environment.max_resources[key] ?? environment.resources[key];
}

/** Say what a launch can cost. */
export function describeEstimate(
  estimate: IEstimate,
  wanted_s: number | null | undefined,
  trans: TranslationBundle
): string {
  const rate = estimate.credits_per_hour;
  if (rate === 0) {
    return trans.__('Costs no credits.');
  }
  const cost =
    estimate.credits === null
      ? trans.__('Costs %1 an hour.', formatCredits(rate, trans))
      : trans.__('Costs at most %1.', formatCredits(estimate.credits, trans));
  const left =
    estimate.left === null
      ? ''
      : trans.__('%1 are left.', formatCredits(estimate.left, trans));
  // Where there is a budget, it sets an end to what names none.
  const end =
    wanted_s === null && estimate.lease_s !== null
      ? trans.__('Ends after %1.', formatDuration(estimate.lease_s, trans))
      : '';
  return [cost, left, end].filter(text => !!text).join(' ');
}

/** The fields that limits are about. */
const LIMIT_FIELDS: Readonly<Record<ILimit['name'], string>> = {
  cpu: 'cpu',
  memory: 'memory',
  gpu: 'gpu',
  lease: 'lease',
  credits: 'lease',
  runtimes: 'environment'
};

/** The fields that other refusals are about. */
const REASON_FIELDS: Readonly<Record<string, string>> = {
  unknown_volume: 'volumes',
  snapshot_not_found: 'snapshot',
  snapshot_damaged: 'snapshot',
  snapshot_untrusted: 'snapshot'
};

/** Say which field a refusal is about, and why. */
export function explainLaunch(
  error: unknown,
  trans: TranslationBundle
): Problems {
  const refusal = RemoteKernelsError.from(error);
  const text = asSentences(refusal.message, refusal.hint);
  if (refusal.limit) {
    const field = LIMIT_FIELDS[refusal.limit.name] ?? '';
    return { [field]: describeLimit(refusal.limit, trans) || text };
  }
  return { [REASON_FIELDS[refusal.reason] ?? '']: text };
}

/** Say what is allowed, beside what was asked for. */
export function describeLimit(limit: ILimit, trans: TranslationBundle): string {
  const amount = (value: number): string => {
    switch (limit.name) {
      case 'memory':
        return formatBytes(value);
      case 'lease':
        return formatDuration(value, trans);
      case 'credits':
        return formatCredits(value, trans);
      default:
        return formatNumber(value);
    }
  };
  const allowed = amount(limit.allowed);
  switch (limit.scope) {
    case 'environment':
      return trans.__('This environment allows at most %1.', allowed);
    case 'provider':
      return trans.__('There are at most %1 here.', allowed);
    case 'user':
      return limit.used > 0
        ? trans.__(
            'You may use at most %1, and %2 are in use.',
            allowed,
            amount(limit.used)
          )
        : trans.__('You may use at most %1.', allowed);
  }
}
