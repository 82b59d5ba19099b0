import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';

import { RemoteKernelsError } from './errors';

/** One change is told in several events; this long they are waited for. */
const SETTLE_MS = 100;

/** Something of the server's that is read when somebody wants to see it. */
export interface ILoadable<T> {
  /** What was read last; `null` before that. */
  readonly value: T | null;
  /** Why the last reading failed; `null` after one that did not. */
  readonly error: RemoteKernelsError | null;
  readonly changed: ISignal<ILoadable<T>, void>;
  /** Read it again. Never rejects: see `error`. */
  refresh(): Promise<void>;
}

/** See `ILoadable`. */
export class Loadable<T> implements ILoadable<T>, IDisposable {
  constructor(read: () => Promise<T>) {
    this._read = read;
  }

  get value(): T | null {
    return this._value;
  }

  get error(): RemoteKernelsError | null {
    return this._error;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  async refresh(): Promise<void> {
    const generation = ++this._generation;
    let value: T | null = null;
    let error: RemoteKernelsError | null = null;
    try {
      value = await this._read();
    } catch (reason) {
      error = RemoteKernelsError.from(reason);
    }
    // A newer reading may have ended before this one.
    if (generation !== this._generation || this._isDisposed) {
      return;
    }
    // What was read before an error is still worth more than the error alone.
    this._value = value ?? this._value;
    this._error = error;
    this._changed.emit();
  }

  /** Read it again soon, if anybody has seen it; calls in quick succession are one. */
  invalidate(): void {
    if (this._generation > 0 && !this._timer && !this._isDisposed) {
      this._timer = setTimeout(() => {
        this._timer = undefined;
        void this.refresh();
      }, SETTLE_MS);
    }
  }

  private readonly _read: () => Promise<T>;
  private readonly _changed = new Signal<this, void>(this);
  private _value: T | null = null;
  private _error: RemoteKernelsError | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _generation = 0;
  private _isDisposed = false;
}
