import { Signal } from '@lumino/signaling';

import type { IRuntime } from '../api';
import { ResumeWatch } from '../resumeWatch';
import type { IRemoteKernels } from '../tokens';
import { makeRuntime } from './runtime';

/** A model of which a test says what it knows. */
class FakeModel {
  runtimes: IRuntime[] = [];
  readonly changed = new Signal<IRemoteKernels, void>(
    this as unknown as IRemoteKernels
  );

  put(changes: Partial<IRuntime>): void {
    this.runtimes = [makeRuntime(changes)];
    this.changed.emit();
  }
}

describe('runtimes that come back from a pause', () => {
  let model: FakeModel;
  let seen: string[];

  beforeEach(() => {
    model = new FakeModel();
    seen = [];
    const watch = new ResumeWatch(model);
    watch.resumed.connect((_, { snapshotId }) => seen.push(snapshotId));
  });

  it('are told once, with what they had', () => {
    model.put({ phase: 'paused', snapshot_id: 's' });
    model.put({ phase: 'resuming', snapshot_id: null });
    expect(seen).toEqual([]);
    model.put({ phase: 'running' });
    model.put({ phase: 'running', execution_state: 'busy' });
    expect(seen).toEqual(['s']);
  });

  it('are none when the resume failed, until one does not', () => {
    model.put({ phase: 'resuming', snapshot_id: 's' });
    model.put({ phase: 'paused', snapshot_id: 's' });
    expect(seen).toEqual([]);
    model.put({ phase: 'running' });
    expect(seen).toEqual(['s']);
  });

  it('are none when they have only just been seen', () => {
    model.put({ phase: 'running' });
    expect(seen).toEqual([]);
  });

  it('are none when they began without anything', () => {
    model.put({ phase: 'starting' });
    model.put({ phase: 'running' });
    expect(seen).toEqual([]);
  });
});
