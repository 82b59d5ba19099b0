import type { IOperation, IRemoteKernelsApi } from '../api';
import { describeOutcome } from '../outcome';
import { Snapshots } from '../snapshots';
import {
  describeSnapshot,
  describeSnapshotProblem,
  snapshotFacts,
  snapshotTitle
} from '../snapshotTexts';
import type { ISnapshot, IStateResult } from '../stateApi';
import { makeEnvironment, makeRuntime, trans } from './runtime';

function snapshot(changes: Partial<ISnapshot> = {}): ISnapshot {
  return {
    id: '0123456789abcdef',
    name: null,
    description: null,
    created_at: '2020-01-02T03:04:05Z',
    runtime_id: 'r',
    environment: 'python',
    automatic: true,
    python: '3.11.7',
    total_bytes: 4096,
    new_bytes: 4096,
    carried: 3,
    not_carried: [],
    problem: null,
    ...changes
  };
}

const NAMES = {
  find: (id: string) =>
    id === 'r' ? makeRuntime({ name: 'Training' }) : undefined,
  findEnvironment: (name: string) =>
    name === 'python' ? makeEnvironment({ display_name: 'Python' }) : undefined
};

describe('what a snapshot is called', () => {
  it.each([
    [{ name: 'before the fit' }, 'before the fit'],
    [{}, 'State of Training'],
    [{ runtime_id: 'gone' }, 'State of Python'],
    [{ runtime_id: 'gone', environment: 'old' }, 'State of old'],
    [{ runtime_id: null, environment: null }, 'Snapshot 01234567']
  ])('%j', (changes, title) => {
    expect(snapshotTitle(snapshot(changes), NAMES, trans)).toBe(title);
  });

  it('comes with its time where one is chosen', () => {
    expect(describeSnapshot(snapshot({ name: 'a' }), NAMES, trans)).toMatch(
      /^a · .*2020|^a · .+/
    );
  });
});

describe('the facts about a snapshot', () => {
  it('tell size and place', () => {
    const [size, , place] = snapshotFacts(snapshot(), NAMES, trans);
    expect([size, place]).toEqual(['4 KiB', 'Python']);
  });

  it('tell what was new', () => {
    const [size] = snapshotFacts(snapshot({ new_bytes: 1024 }), NAMES, trans);
    expect(size).toBe('4 KiB (1 KiB new)');
  });

  it('tell nothing that nobody knows', () => {
    const damaged = snapshot({
      problem: 'snapshot_damaged',
      created_at: '',
      total_bytes: 0
    });
    expect(snapshotFacts(damaged, NAMES, trans)).toEqual([]);
    expect(describeSnapshotProblem('snapshot_damaged', trans)).toContain(
      'Damaged'
    );
    expect(describeSnapshotProblem('new one', trans)).toBe(
      'It cannot be opened.'
    );
  });
});

describe('the snapshots of a server', () => {
  it('are read again after a change', async () => {
    let kept = [snapshot()];
    const api = {
      listSnapshots: async () => kept,
      labelSnapshot: async (id: string, { name }: { name: string }) => {
        kept = [snapshot({ id, name, automatic: false })];
      },
      deleteSnapshot: async () => {
        kept = [];
      }
    } as unknown as IRemoteKernelsApi;
    const snapshots = new Snapshots(api);
    await snapshots.label(kept[0].id, { name: 'mine' });
    expect(snapshots.value?.[0].name).toBe('mine');
    await snapshots.remove(kept[0].id);
    expect(snapshots.value).toEqual([]);
  });
});

describe('the end of an operation', () => {
  function ended(result: IStateResult | null, kind: IOperation['kind']) {
    const operation: IOperation = {
      id: 'o',
      kind,
      runtime_id: 'r',
      state: 'succeeded',
      step: null,
      created_at: '',
      finished_at: '',
      error: null,
      result
    };
    return describeOutcome(operation, 'Done', trans);
  }

  it('is said in a word where there is nothing to tell', () => {
    expect(ended(null, 'resume')).toEqual({
      message: 'Done',
      isLoss: false,
      hasReport: false
    });
  });

  it('counts what went over', () => {
    const transferred = [{ name: 'x' }, { name: 'y' }];
    expect(ended({ transferred, bytes: 2048 }, 'transfer').message).toBe(
      'Done. 2 variables, 2 KiB.'
    );
  });

  it('does not hide what was lost', () => {
    const lost = [{ name: 'x', reason: 'its class is gone', path: 'x.a' }];
    const outcome = ended({ restored: ['y'], lost }, 'resume');
    expect(outcome.message).toBe('Done. One was lost.');
    expect([outcome.isLoss, outcome.hasReport]).toEqual([true, true]);
  });

  it('reminds of what was announced before a pause, and no more', () => {
    const not_carried = [{ name: 'a' }, { name: 'b' }];
    const outcome = ended(
      { carried: 1, size_bytes: 1024, not_carried },
      'pause'
    );
    expect(outcome.message).toBe(
      'Done. One variable, 1 KiB. 2 were not carried.'
    );
    expect([outcome.isLoss, outcome.hasReport]).toEqual([false, true]);
  });

  it('says what became of names that both had', () => {
    const outcome = ended(
      { transferred: [], renamed: { x: 'x_2' }, kept: ['y'], bytes: 0 },
      'transfer'
    );
    expect(outcome.message).toBe(
      'Done. 0 variables, 0 B. Under other names: x → x_2. Kept as they were: y.'
    );
    expect(outcome.hasReport).toBe(true);
  });

  it('has a report where something is worth knowing', () => {
    const notes = { frame: 'pandas is another version there' };
    const outcome = ended({ transferred: [], notes, bytes: 0 }, 'transfer');
    expect([outcome.isLoss, outcome.hasReport]).toEqual([false, true]);
  });
});
