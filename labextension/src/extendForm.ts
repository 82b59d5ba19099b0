/**
 * The dialog that changes a reservation, without its looks. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import {
  formatCredits,
  parseDuration,
  toDurationInput,
  type IDurationInput
} from './amounts';
import type { IEnvironment, ILeaseChanges, IRuntime, LeasePolicy } from './api';
import { RemoteKernelsError } from './errors';
import type { Problems } from './form';
import { asSentences } from './format';
import { describeLimit } from './launchForm';
import { extensionSteps, LEASE_OVER } from './reservations';

/** How the new end is given: so much later, so long from now, none at all, or as it is. */
export type ExtendMode = 'by' | 'in' | 'none' | 'same';

/** What a person fills in. */
export interface IExtendValues {
  readonly mode: ExtendMode;
  readonly time: IDurationInput;
  /** What becomes of the runtime at the end. */
  readonly lease_policy: LeasePolicy;
}

/** The ways in which a runtime can be given another end. */
export function possibleModes(
  runtime: IRuntime,
  environment: IEnvironment | undefined
): ExtendMode[] {
  if (runtime.lease_s === null) {
    return ['in'];
  }
  return environment?.max_lease_s === null
    ? ['by', 'in', 'none', 'same']
    : ['by', 'in', 'same'];
}

/** What the dialog starts with: the usual extension. */
export function startExtend(
  runtime: IRuntime,
  environment: IEnvironment | undefined
): IExtendValues {
  const [mode] = possibleModes(runtime, environment);
  const [usual_s = 1800] = extensionSteps(runtime, environment);
  return {
    mode,
    time: toDurationInput(usual_s),
    lease_policy: runtime.lease_policy ?? 'terminate'
  };
}

/**
 * The reservation that is filled in, in seconds from the start of the runtime.
 *
 * @returns `null` for no end, `undefined` when it cannot be read
 */
export function leaseFor(
  values: IExtendValues,
  runtime: IRuntime,
  now: number
): number | null | undefined {
  const seconds = parseDuration(values.time);
  if (values.mode === 'none') {
    return null;
  }
  if (values.mode === 'same') {
    return runtime.lease_s;
  }
  if (!seconds) {
    return undefined;
  }
  return values.mode === 'by'
    ? (runtime.lease_s ?? 0) + seconds
    : Math.max(0, Math.round((now - startMs(runtime)) / 1000)) + seconds;
}

/** What is sent: only what is to be another than it is. */
export function leaseChanges(
  values: IExtendValues,
  runtime: IRuntime,
  now: number
): ILeaseChanges {
  const lease_s = leaseFor(values, runtime, now);
  const { lease_policy } = values;
  const isOtherPolicy =
    lease_s !== null && lease_policy !== (runtime.lease_policy ?? 'terminate');
  return {
    ...(lease_s === undefined || values.mode === 'same' ? {} : { lease_s }),
    ...(isOtherPolicy ? { lease_policy } : {})
  };
}

/** When a runtime's reservation began. */
export function startMs(runtime: IRuntime): number {
  return runtime.expires_at && runtime.lease_s !== null
    ? Date.parse(runtime.expires_at) - runtime.lease_s * 1000
    : Date.parse(runtime.started_at ?? runtime.created_at);
}

/** Say what the change costs, or saves; empty when it is free. */
export function describeChange(
  runtime: IRuntime,
  lease_s: number | null | undefined,
  left: number | null,
  trans: TranslationBundle
): string {
  const rate = runtime.credits_per_hour;
  if (rate === 0 || lease_s === undefined || lease_s === runtime.lease_s) {
    return '';
  }
  if (lease_s === null || runtime.lease_s === null) {
    return trans.__('Costs %1 an hour.', formatCredits(rate, trans));
  }
  const credits = ((lease_s - runtime.lease_s) * rate) / 3600;
  if (credits < 0) {
    return trans.__('Saves up to %1.', formatCredits(-credits, trans));
  }
  const cost = trans.__('Costs up to %1 more.', formatCredits(credits, trans));
  return left === null
    ? cost
    : `${cost} ${trans.__('%1 are left.', formatCredits(left, trans))}`;
}

/** Say why a change was refused. */
export function explainExtend(
  error: unknown,
  trans: TranslationBundle
): Problems {
  const refusal = RemoteKernelsError.from(error);
  const text =
    (refusal.limit && describeLimit(refusal.limit, trans)) ||
    asSentences(refusal.message, refusal.hint);
  const isAboutTime =
    refusal.status === 400 || !!refusal.limit || refusal.reason === LEASE_OVER;
  return { [isAboutTime ? 'time' : '']: text };
}
