import type { IOperation } from '../api';
import { describeState } from '../format';
import {
  describeLoss,
  describeOperation,
  describeReason,
  isSameCell,
  listLosses,
  sortByCell
} from '../pausing';
import type { IVariable } from '../stateApi';
import { makeRuntime, trans } from './runtime';

function variable(changes: Partial<IVariable>): IVariable {
  return {
    name: 'x',
    type: 'int',
    size_bytes: 28,
    status: 'carried',
    reason: null,
    path: null,
    ...changes
  };
}

function operation(changes: Partial<IOperation>): IOperation {
  return {
    id: 'o',
    kind: 'pause',
    runtime_id: 'r',
    state: 'running',
    step: null,
    created_at: '2026-11-21T00:00:00Z',
    finished_at: null,
    error: null,
    ...changes
  };
}

describe('the report before a pause', () => {
  it('lists what is lost, in the order of the names', () => {
    const losses = listLosses([
      variable({ name: 'z', status: 'refused' }),
      variable({ name: 'kept' }),
      variable({ name: 'a', status: 'carried_without_links' })
    ]);
    expect(losses.map(({ name }) => name)).toEqual(['a', 'z']);
  });

  it('says why, and where', () => {
    const lost = variable({
      status: 'refused',
      reason: 'a lock cannot be carried',
      path: 'model.session'
    });
    expect(describeLoss(lost, trans)).toBe(
      'not saved (a lock cannot be carried, model.session)'
    );
    expect(
      describeLoss(variable({ status: 'carried_without_links' }), trans)
    ).toBe('saved without what it shares with others');
  });
});

describe('the progress of an operation', () => {
  it.each([
    [{}, 'Pausing box'],
    [{ step: 'saving' }, 'Pausing box · saving'],
    [
      { step: 'saving', done_bytes: 1024, total_bytes: 4096 },
      'Pausing box · saving · 1 KiB of 4 KiB'
    ],
    [{ done_bytes: 0, total_bytes: 0 }, 'Pausing box']
  ])('%j', (changes, text) => {
    expect(describeOperation(operation(changes), 'Pausing box', trans)).toBe(
      text
    );
  });
});

describe('the state of a paused runtime', () => {
  it('says how much waits', () => {
    const state = describeState(
      makeRuntime({ phase: 'paused', snapshot_bytes: 2048 }),
      trans
    );
    expect(state.label).toBe('Paused');
    expect(state.detail).toBe('2 KiB saved');
  });

  it('says nothing of a snapshot that is not known', () => {
    expect(describeState(makeRuntime({ phase: 'paused' }), trans).detail).toBe(
      ''
    );
  });
});

describe('the cell that made a variable', () => {
  const first = { number: 1, source: 'a = b = open()' };
  const second = { number: 12, source: 'c = open()' };

  it('is named', () => {
    const lost = variable({ status: 'refused', reason: 'open', cell: second });
    expect(describeReason(lost, trans)).toBe(
      'cannot be carried: open, made by cell [12]'
    );
  });

  it('brings those together that it made', () => {
    const found = sortByCell([
      { name: 'x' },
      { name: 'c', cell: second },
      { name: 'b', cell: first },
      { name: 'a', cell: first }
    ]);
    expect(found.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'x']);
    expect(isSameCell(found[0].cell, found[1].cell)).toBe(true);
    expect(isSameCell(found[1].cell, found[2].cell)).toBe(false);
    expect(isSameCell(null, null)).toBe(false);
  });
});
