import type { IVariable, IVariables } from '../stateApi';
import {
  checkChoice,
  chosenNames,
  conflictingNames,
  describeChoice,
  describeConflicts,
  listNames,
  requestedNames,
  toggleName,
  VariableLists,
  type IVariableChoice
} from '../variables';
import { trans } from './runtime';

function variable(name: string, changes: Partial<IVariable> = {}): IVariable {
  return {
    name,
    type: 'int',
    size_bytes: 1024,
    status: 'carried',
    reason: null,
    path: null,
    ...changes
  };
}

const FOUND: IVariables = {
  variables: [
    variable('x'),
    variable('y'),
    variable('lock', { status: 'refused', reason: 'a lock' })
  ],
  total_bytes: 2048
};

const ALL: IVariableChoice = { chosen: null, on_conflict: 'refuse' };

describe('a choice of variables', () => {
  it('is all that can be carried at first', () => {
    expect(chosenNames(FOUND, ALL)).toEqual(['x', 'y']);
    expect(chosenNames(null, ALL)).toEqual([]);
  });

  it('asks for all, and not for each, while nothing is left out', () => {
    expect(requestedNames(FOUND, ALL)).toBeNull();
    const chosen = toggleName(FOUND, ALL, 'x');
    expect(requestedNames(FOUND, { ...ALL, chosen })).toEqual(['y']);
  });

  it('takes back what was left out', () => {
    const chosen = toggleName(FOUND, { ...ALL, chosen: ['y'] }, 'x');
    expect(chosenNames(FOUND, { ...ALL, chosen })).toEqual(['x', 'y']);
  });

  it('never asks for what cannot be carried', () => {
    expect(chosenNames(FOUND, { ...ALL, chosen: ['lock', 'y'] })).toEqual([
      'y'
    ]);
  });

  it('says how much it is', () => {
    expect(describeChoice(FOUND, ALL, trans)).toBe('2 of 3 chosen, 2 KiB');
  });
});

describe('names that both have', () => {
  const target: IVariables = { variables: [variable('y')], total_bytes: 0 };

  it('are found', () => {
    expect(conflictingNames(['x', 'y'], FOUND, target)).toEqual(['y']);
    expect(conflictingNames(['x', 'y'], FOUND, null)).toEqual([]);
  });

  it('do not count where both have imported a module', () => {
    const modules = {
      variables: [variable('np', { type: 'module' })],
      total_bytes: 0
    };
    const other = { variables: [variable('np')], total_bytes: 0 };
    expect(conflictingNames(['np'], modules, modules)).toEqual([]);
    expect(conflictingNames(['np'], modules, other)).toEqual(['np']);
  });

  it.each([
    ['refuse', 'Box has these, too: y.'],
    ['replace', 'Replaced in Box: y.'],
    ['keep', 'Stay as they are in Box: y.'],
    ['rename', 'Added to Box under other names: y.']
  ] as const)('%s', (policy, text) => {
    expect(describeConflicts(['y'], policy, 'Box', trans)).toBe(text);
  });

  it('are no problem when there are none', () => {
    expect(describeConflicts([], 'refuse', 'Box', trans)).toBe(
      'Box has no variable of these names.'
    );
  });

  it('have to be decided about before anything is sent', () => {
    expect(checkChoice(FOUND, target, ALL, trans)).toHaveProperty(
      'on_conflict'
    );
    const replace = { ...ALL, on_conflict: 'replace' } as const;
    expect(checkChoice(FOUND, target, replace, trans)).toEqual({});
    // The server knows better than a list that has not come.
    expect(checkChoice(null, target, ALL, trans)).toEqual({});
  });

  it('do not hide that nothing is chosen', () => {
    expect(
      checkChoice(FOUND, target, { ...ALL, chosen: [] }, trans)
    ).toHaveProperty('variables');
  });

  it('are counted where they are many', () => {
    const names = [...'abcdefghij'];
    expect(listNames(names, trans)).toBe('a, b, c, d, e, f, g, h and 2 more');
    expect(listNames(['a', 'b'], trans)).toBe('a, b');
  });
});

describe('lists of variables', () => {
  function ask(answer: () => Promise<IVariables>) {
    const asked: AbortSignal[] = [];
    const lists = new VariableLists((_, signal) => {
      asked.push(signal);
      return answer();
    });
    return { asked, lists };
  }

  it('are asked for once, and kept', async () => {
    const { asked, lists } = ask(async () => FOUND);
    const list = lists.of('k');
    await new Promise(resolve => setTimeout(resolve));
    expect([lists.of('k'), list.value]).toEqual([list, FOUND]);
    expect(asked.length).toBe(1);
    lists.stop();
    expect(lists.of('k')).toBe(list);
  });

  it('are not waited for when they would be in the way', () => {
    const { asked, lists } = ask(() => new Promise(() => undefined));
    const list = lists.of('k');
    lists.stop();
    expect(asked[0].aborted).toBe(true);
    // Who looks again asks anew.
    expect(lists.of('k')).not.toBe(list);
    lists.dispose();
    expect(asked[1].aborted).toBe(true);
  });
});
