import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';

import type { IEnvironment, IRuntime } from './api';
import type { IClock } from './clock';
import type { IRemoteKernels } from './tokens';

/** With how many seconds left a reservation is warned of, the first one first. */
export const WARNINGS_S: ReadonlyArray<number> = [300, 60];

/** How a runtime ends when nobody extends its reservation in time. */
export const LEASE_OVER = 'lease_over';

const HALF_HOUR_S = 1800;
const HOUR_S = 3600;

/** A timer must not wait for longer: the browser's own limit is 24 days. */
const LONGEST_WAIT_MS = 3_600_000;

/** That a reservation has little time left, or no longer so. */
export interface IReservationChange {
  readonly runtimeId: string;
  /** The warning that holds now, in seconds; `null` when none does. */
  readonly warning_s: number | null;
}

/** Which reservations are about to end. */
export interface IReservations {
  /** Emitted once per runtime and warning, and when a warning does not hold any more. */
  readonly changed: ISignal<IReservations, IReservationChange>;

  /** The warning that holds for a runtime, in seconds; `null` when none does. */
  warningOf(id: string): number | null;

  /** Take a runtime's warning back until the next one: somebody has taken note of it. */
  acknowledge(id: string): void;
}

/** The token under which other plugins get to know which reservations are about to end. */
export const IReservations = new Token<IReservations>(
  'jupyter-remote-kernels:IReservations',
  'The reservations of remote kernels that are about to end.'
);

/** Whether a runtime ended because its reservation was over. */
export function isReservationOver(runtime: IRuntime): boolean {
  return runtime.phase === 'failed' && runtime.exit?.reason === LEASE_OVER;
}

/** How long a reservation goes on, in milliseconds; `null` when it has no end, or has ended. */
export function timeLeftMs(runtime: IRuntime, now: number): number | null {
  const isGoing =
    runtime.target === 'running' &&
    runtime.phase !== 'failed' &&
    runtime.phase !== 'stopping' &&
    runtime.phase !== 'stopped';
  if (!runtime.expires_at || !isGoing) {
    return null;
  }
  return Math.max(0, Date.parse(runtime.expires_at) - now);
}

/** The warning that a reservation deserves. A shorter one than the warning was chosen so. */
export function dueWarning(runtime: IRuntime, now: number): number | null {
  const left = timeLeftMs(runtime, now);
  if (left === null) {
    return null;
  }
  const isDue = (seconds: number): boolean =>
    left <= seconds * 1000 && (runtime.lease_s ?? Infinity) > seconds;
  return [...WARNINGS_S].reverse().find(isDue) ?? null;
}

/** When the warning of a reservation changes next, in milliseconds. */
export function nextWarningMs(runtime: IRuntime, now: number): number | null {
  const left = timeLeftMs(runtime, now);
  if (left === null) {
    return null;
  }
  const next = WARNINGS_S.find(seconds => left > seconds * 1000);
  return next === undefined ? null : left - next * 1000;
}

/** By how much a reservation can be extended at once, the usual amount first, in seconds. */
export function extensionSteps(
  runtime: IRuntime,
  environment: IEnvironment | undefined
): number[] {
  const usual = environment?.default_lease_s ?? HALF_HOUR_S;
  const steps = [...new Set([usual, HALF_HOUR_S, HOUR_S])];
  const most = mostExtension(runtime, environment);
  const possible = steps.filter(step => step <= most);
  // Less than any usual step is still worth having.
  return possible.length > 0 || most < 1 ? possible : [Math.floor(most)];
}

/** By how much a reservation can be extended at most, in seconds. */
export function mostExtension(
  runtime: IRuntime,
  environment: IEnvironment | undefined
): number {
  const longest = environment?.max_lease_s;
  return longest === null || longest === undefined
    ? Infinity
    : Math.max(0, longest - (runtime.lease_s ?? 0));
}

interface IEntry {
  readonly expires_at: string | null;
  readonly warning_s: number | null;
}

/** See `IReservations`. Waits with one timer, whatever the number of runtimes and views. */
export class Reservations implements IReservations, IDisposable {
  constructor(remoteKernels: IRemoteKernels, clock: IClock) {
    this._remoteKernels = remoteKernels;
    this._clock = clock;
    remoteKernels.changed.connect(this._update, this);
    remoteKernels.leaseWarned.connect(this._onWarned, this);
    this._update();
  }

  get changed(): ISignal<this, IReservationChange> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    clearTimeout(this._timer);
    this._remoteKernels.changed.disconnect(this._update, this);
    this._remoteKernels.leaseWarned.disconnect(this._onWarned, this);
    Signal.clearData(this);
  }

  warningOf(id: string): number | null {
    const warning_s = this._entries.get(id)?.warning_s ?? null;
    return warning_s === null || this._acknowledged.has(id) ? null : warning_s;
  }

  acknowledge(id: string): void {
    if (this.warningOf(id) !== null) {
      this._acknowledged.add(id);
      this._changed.emit({ runtimeId: id, warning_s: null });
    }
  }

  private _update(): void {
    clearTimeout(this._timer);
    const now = this._clock.now();
    const ids = new Set(this._remoteKernels.runtimes.map(({ id }) => id));
    for (const id of [...this._entries.keys()]) {
      if (!ids.has(id)) {
        this._set(id, { expires_at: null, warning_s: null });
        this._entries.delete(id);
        this._said.delete(id);
      }
    }
    let wait = LONGEST_WAIT_MS;
    for (const runtime of this._remoteKernels.runtimes) {
      const { expires_at } = runtime;
      this._set(runtime.id, {
        expires_at,
        warning_s: this._earlier(runtime, dueWarning(runtime, now))
      });
      wait = Math.min(wait, nextWarningMs(runtime, now) ?? wait);
    }
    this._timer = setTimeout(() => this._update(), Math.ceil(wait));
  }

  /** The agent counts the time; when it has warned, our clock is the one that is late. */
  private _earlier(runtime: IRuntime, due: number | null): number | null {
    const said = this._said.get(runtime.id);
    if (!said || said.expires_at !== runtime.expires_at) {
      return due;
    }
    if (timeLeftMs(runtime, 0) === null) {
      return null;
    }
    return due === null ? said.warning_s : Math.min(due, said.warning_s);
  }

  private _set(id: string, entry: IEntry): void {
    const before = this._entries.get(id)?.warning_s ?? null;
    const shown = this.warningOf(id);
    this._entries.set(id, entry);
    if (before === entry.warning_s) {
      return;
    }
    this._acknowledged.delete(id);
    if (shown !== entry.warning_s) {
      this._changed.emit({ runtimeId: id, warning_s: entry.warning_s });
    }
  }

  private _onWarned(
    _: IRemoteKernels,
    warning: { runtimeId: string; warning_s: number }
  ): void {
    const runtime = this._remoteKernels.find(warning.runtimeId);
    // A reservation that is shorter than the warning was chosen so.
    if (runtime && (runtime.lease_s ?? Infinity) > warning.warning_s) {
      this._said.set(runtime.id, {
        expires_at: runtime.expires_at,
        warning_s: warning.warning_s
      });
      this._update();
    }
  }

  private readonly _remoteKernels: IRemoteKernels;
  private readonly _clock: IClock;
  private readonly _entries = new Map<string, IEntry>();
  private readonly _said = new Map<
    string,
    { expires_at: string | null; warning_s: number }
  >();
  private readonly _acknowledged = new Set<string>();
  private readonly _changed = new Signal<this, IReservationChange>(this);
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
}
