import { Signal, type ISignal } from '@lumino/signaling';

import type { IRuntime } from './api';
import type { IRemoteKernels } from './tokens';

/** A runtime that runs again with what a snapshot held. */
export interface IResumed {
  readonly runtime: IRuntime;
  readonly snapshotId: string;
}

/** Sees runtimes come back from a pause, whoever has asked for it. */
export class ResumeWatch {
  constructor(remoteKernels: Pick<IRemoteKernels, 'runtimes' | 'changed'>) {
    this._remoteKernels = remoteKernels;
    remoteKernels.changed.connect(this._look, this);
    this._look();
  }

  get resumed(): ISignal<this, IResumed> {
    return this._resumed;
  }

  private _look(): void {
    const before = this._asleep;
    this._asleep = new Map();
    for (const runtime of this._remoteKernels.runtimes) {
      const { id, phase, snapshot_id } = runtime;
      const known = before.get(id);
      if (phase === 'paused' || phase === 'resuming') {
        const snapshotId = snapshot_id ?? known;
        if (snapshotId) {
          this._asleep.set(id, snapshotId);
        }
      } else if (phase === 'running' && known) {
        this._resumed.emit({ runtime, snapshotId: known });
      }
    }
  }

  private readonly _remoteKernels: Pick<IRemoteKernels, 'runtimes' | 'changed'>;
  private readonly _resumed = new Signal<this, IResumed>(this);
  private _asleep = new Map<string, string>();
}
