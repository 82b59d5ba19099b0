/**
 * Facts about a runtime in words. Pure: no widget, no request.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IResources, IRuntime } from './api';
import { isReservationOver } from './reservations';

/** What the state of a runtime comes down to, for an icon and a colour. */
export type StateKind =
  | 'queued'
  | 'starting'
  | 'idle'
  | 'busy'
  | 'unreachable'
  | 'replaying'
  | 'paused'
  | 'stopping'
  | 'stopped'
  | 'ended'
  | 'failed';

/** The state of a runtime in words. */
export interface IStateText {
  readonly kind: StateKind;
  /** A word or two, for example "Running · Idle". */
  readonly label: string;
  /** The engine's own words, the step of the launch, or empty. */
  readonly detail: string;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Format a number of bytes with three significant digits at most. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${Number(value.toFixed(digits))} ${UNITS[unit]}`;
}

/** Format a part of a whole; the unit is said once when it is the same. */
export function formatShare(part: number, whole: number): string {
  const [first, second] = [formatBytes(part), formatBytes(whole)];
  const [amount, unit] = first.split(' ');
  return second.endsWith(` ${unit}`)
    ? `${amount} / ${second}`
    : `${first} / ${second}`;
}

/** Texts of the server as sentences in a row; those that are missing are left out. */
export function asSentences(
  ...texts: ReadonlyArray<string | null | undefined>
): string {
  return texts
    .map(text => text?.trim())
    .filter((text): text is string => !!text)
    .map(text => text[0].toUpperCase() + text.slice(1))
    .map(text => (/[.!?…]$/.test(text) ? text : `${text}.`))
    .join(' ');
}

/** Format a moment as the time of day, with the date when it was another day. */
export function formatTime(iso: string, now: Date = new Date()): string {
  const then = new Date(iso);
  if (Number.isNaN(then.getTime())) {
    return iso;
  }
  const time: Intl.DateTimeFormatOptions = {
    hour: '2-digit',
    minute: '2-digit'
  };
  return then.toDateString() === now.toDateString()
    ? then.toLocaleTimeString(undefined, time)
    : then.toLocaleString(undefined, {
        day: 'numeric',
        month: 'short',
        ...time
      });
}

/** Format a date such as "2026-11-21", which is the same day everywhere. */
export function formatDay(date: string): string {
  const day = new Date(`${date}T00:00:00`);
  return Number.isNaN(day.getTime())
    ? date
    : day.toLocaleDateString(undefined, {
        day: 'numeric',
        month: 'short',
        year: 'numeric'
      });
}

/** Say what state a runtime is in. */
export function describeState(
  runtime: IRuntime,
  trans: TranslationBundle
): IStateText {
  const words = engineWords(runtime);
  switch (runtime.phase) {
    case 'submitted':
      return { kind: 'queued', label: trans.__('Queued'), detail: words };
    case 'starting':
      return { kind: 'starting', label: trans.__('Starting'), detail: words };
    case 'running':
      return describeRunning(runtime, trans);
    case 'pausing':
      return { kind: 'stopping', label: trans.__('Pausing'), detail: words };
    case 'paused':
      return {
        kind: 'paused',
        label: trans.__('Paused'),
        detail: savedState(runtime, trans)
      };
    case 'resuming':
      return { kind: 'starting', label: trans.__('Resuming'), detail: words };
    case 'stopping':
      return { kind: 'stopping', label: trans.__('Stopping'), detail: words };
    case 'stopped':
      return { kind: 'stopped', label: trans.__('Stopped'), detail: '' };
    case 'failed':
      // Somebody knew when it would end: nothing went wrong.
      return isReservationOver(runtime)
        ? { kind: 'ended', label: trans.__('Ended'), detail: '' }
        : { kind: 'failed', label: trans.__('Failed'), detail: '' };
  }
}

/** How much state waits for a paused runtime. */
function savedState(runtime: IRuntime, trans: TranslationBundle): string {
  const { snapshot_bytes } = runtime;
  return typeof snapshot_bytes === 'number'
    ? trans.__('%1 saved', formatBytes(snapshot_bytes))
    : '';
}

function describeRunning(
  runtime: IRuntime,
  trans: TranslationBundle
): IStateText {
  const { state, since, message } = runtime.reachability;
  if (state === 'unknown') {
    const label = since
      ? trans.__('Unreachable since %1', formatTime(since))
      : trans.__('Unreachable');
    return { kind: 'unreachable', label, detail: asSentences(message) };
  }
  const detail = asSentences(runtime.output_held);
  if (runtime.replaying) {
    const label = trans.__('Receiving missed output');
    return { kind: 'replaying', label, detail };
  }
  switch (runtime.execution_state) {
    case 'idle':
      return { kind: 'idle', label: trans.__('Running · Idle'), detail };
    case 'busy':
      return { kind: 'busy', label: trans.__('Running · Busy'), detail };
    case 'starting':
      return {
        kind: 'starting',
        label: trans.__('Running · Kernel Starting'),
        detail: ''
      };
    case 'dead':
      return {
        kind: 'failed',
        label: trans.__('Running · Kernel Dead'),
        detail: ''
      };
    case 'unknown':
      return { kind: 'idle', label: trans.__('Running'), detail: '' };
  }
}

/**
 * How far a runtime is on its way back: when it is tried next, or how much of what was missed has
 * come. Empty when it is not on its way.
 */
export function describeProgress(
  runtime: IRuntime,
  now: number,
  trans: TranslationBundle
): string {
  const { reachability, replaying } = runtime;
  if (runtime.phase !== 'running') {
    return '';
  }
  if (reachability.state === 'ok') {
    return replaying
      ? trans.__(
          '%1 of %2',
          replaying.done.toLocaleString(),
          replaying.total.toLocaleString()
        )
      : '';
  }
  const tries = (reachability.attempt ?? 0) + 1;
  const wait = untilNextTryMs(runtime, now);
  return wait === null
    ? trans.__('trying again (attempt %1)', tries)
    : trans.__(
        'trying again in %1 s (attempt %2)',
        Math.ceil(wait / 1000),
        tries
      );
}

/** How long until an unreachable runtime is tried again; `null` while it is being tried. */
export function untilNextTryMs(runtime: IRuntime, now: number): number | null {
  const { state, next_try_at } = runtime.reachability;
  if (state === 'ok' || !next_try_at) {
    return null;
  }
  const wait = Date.parse(next_try_at) - now;
  return wait > 0 ? wait : null;
}

/** What the engine says; while it says nothing, the step of the launch. */
export function engineWords(runtime: IRuntime): string {
  return runtime.engine.message || runtime.step || '';
}

/**
 * The short text for the toolbar of a notebook.
 *
 * Idle and busy are left out: the kernel indicator beside it shows them.
 */
export function describeBadge(
  runtime: IRuntime,
  trans: TranslationBundle
): IStateText {
  const state = describeState(runtime, trans);
  if (state.kind === 'idle' || state.kind === 'busy') {
    return { ...state, label: trans.__('Running') };
  }
  if (state.kind === 'queued' && state.detail) {
    return { ...state, label: trans.__('Queued: %1', state.detail) };
  }
  return state;
}

/** CPU and memory in use, a text for each that is known. */
export function describeUsage(
  runtime: IRuntime,
  trans: TranslationBundle
): string[] {
  const { cpu_percent, memory_bytes, memory_limit_bytes } = runtime.usage;
  const parts: string[] = [];
  if (cpu_percent !== null) {
    parts.push(trans.__('CPU %1%', Math.round(cpu_percent)));
  }
  if (memory_bytes !== null) {
    parts.push(
      memory_limit_bytes === null
        ? trans.__('Memory %1', formatBytes(memory_bytes))
        : trans.__('Memory %1', formatShare(memory_bytes, memory_limit_bytes))
    );
  }
  return parts;
}

/** The compute that an environment gives, or empty when it sets no limits. */
export function describeResources(
  resources: IResources,
  trans: TranslationBundle
): string {
  const { cpu, memory_bytes, gpu } = resources;
  const parts: string[] = [];
  if (cpu !== null) {
    parts.push(trans.__('%1 CPU', cpu));
  }
  if (memory_bytes !== null) {
    parts.push(trans.__('%1 memory', formatBytes(memory_bytes)));
  }
  if (gpu !== null && gpu > 0) {
    parts.push(trans.__('%1 GPU', gpu));
  }
  return parts.join(' · ');
}

/** How much of the memory limit is used, 0 to 1; `null` without a limit. */
export function memoryShare(runtime: IRuntime): number | null {
  const { memory_bytes, memory_limit_bytes } = runtime.usage;
  if (memory_bytes === null || !memory_limit_bytes) {
    return null;
  }
  return Math.min(1, memory_bytes / memory_limit_bytes);
}

/** Whether the runtime has a kernel that can be interrupted and restarted. */
export function isLive(runtime: IRuntime): boolean {
  return runtime.phase === 'running';
}

/** Whether the runtime's kernel can be started anew, if need be with a new reservation. */
export function isRestartable(runtime: IRuntime): boolean {
  return isLive(runtime) || isReservationOver(runtime);
}

/** Whether there is still something to terminate. */
export function isTerminable(runtime: IRuntime): boolean {
  return runtime.phase !== 'stopping' && runtime.phase !== 'stopped';
}

/** Whether the runtime is on its way to a first usable kernel. */
export function isComing(runtime: IRuntime): boolean {
  return (
    runtime.phase === 'submitted' ||
    runtime.phase === 'starting' ||
    runtime.phase === 'resuming' ||
    (runtime.phase === 'running' &&
      (runtime.execution_state === 'starting' ||
        runtime.execution_state === 'unknown') &&
      runtime.reachability.state === 'ok')
  );
}
