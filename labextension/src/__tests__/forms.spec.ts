import type { IStateDB } from '@jupyterlab/statedb';

import { recall, remember } from '../choices';
import {
  copyName,
  EMPTY_ENVIRONMENT,
  explainEnvironment,
  toEnvironmentSettings,
  toEnvironmentValues
} from '../environmentForm';
import { RemoteKernelsError } from '../errors';
import {
  describeChange,
  explainExtend,
  leaseChanges,
  leaseFor,
  possibleModes,
  startExtend,
  type IExtendValues
} from '../extendForm';
import { Form } from '../form';
import { choicesOf, startValues } from '../launchForm';
import { makeEnvironment, makeRuntime, trans } from './runtime';

describe('Form', () => {
  it('forgets what was wrong with a field that is filled in anew', () => {
    const form = new Form({ a: '', b: '' });
    form.fail({ a: 'wrong', b: 'wrong too', '': 'no' });
    form.update({ a: 'x' });
    expect(form.values).toEqual({ a: 'x', b: '' });
    expect(form.problems).toEqual({ b: 'wrong too' });
  });
});

describe('the environment editor', () => {
  const box = makeEnvironment({
    name: 'box',
    description: 'Large',
    argv: ['python', '-m', 'x y'],
    options: { host: 'gpu01', port: 22, words: ' a ', flag: 'true' },
    env: { A: '1', B: 'x = y' },
    env_allowed: ['HF_*', 'TOKEN'],
    credits_per_hour: 1.5,
    default_lease_s: 5400,
    max_lease_s: 86_400,
    idle_pause_s: 1800,
    warm: 2,
    resources: { cpu: 4, memory_bytes: 400 * 2 ** 20, gpu: 1 },
    max_resources: { cpu: 8, memory_bytes: null, gpu: null },
    volume: { path: '~/store', default: true }
  });

  it('writes what it has read', () => {
    const values = toEnvironmentValues(box);
    const { settings, problems } = toEnvironmentSettings(values, trans);
    expect(problems).toEqual({});
    expect(settings).toMatchObject({
      display_name: 'Python (remote)',
      description: 'Large',
      argv: box.argv,
      options: box.options,
      env: box.env,
      env_allowed: box.env_allowed,
      credits_per_hour: 1.5,
      default_lease_s: 5400,
      max_lease_s: 86_400,
      idle_pause_s: 1800,
      warm: 2,
      fork: true,
      resources: { cpu: 4, memory_bytes: 400 * 2 ** 20, gpu: 1 },
      max_resources: { cpu: 8 },
      volume: box.volume
    });
  });

  it('leaves out what is empty', () => {
    const values = { ...EMPTY_ENVIRONMENT, name: 'x' };
    const { settings, problems } = toEnvironmentSettings(values, trans);
    expect(problems).toEqual({});
    expect(settings).toMatchObject({ display_name: 'x', resources: {} });
    expect(settings).not.toHaveProperty('default_lease_s');
    expect(settings).not.toHaveProperty('description');
  });

  it('names the fields that cannot be read', () => {
    const { problems } = toEnvironmentSettings(
      {
        ...EMPTY_ENVIRONMENT,
        env: 'no pair',
        warm: 'two',
        max_lease_s: { amount: 'x', unit: 'hours' },
        'resources.memory': 'much'
      },
      trans
    );
    expect(Object.keys(problems).sort()).toEqual([
      'env',
      'max_lease_s',
      'name',
      'resources.memory',
      'warm'
    ]);
  });

  it.each([
    ['resources.memory', 'resources.memory'],
    ['resources.memory_bytes', 'resources.memory'],
    ['options.host', 'options'],
    ['env.A.B', 'env'],
    ['strange', ''],
    [undefined, '']
  ])('shows a refusal of %p at the field %p', (key, field) => {
    const error = new RemoteKernelsError({ status: 400, detail: 'no', key });
    expect(explainEnvironment(error)).toEqual({ [field]: 'No.' });
  });

  it('says the reason of a refusal without the place that can be seen', () => {
    const error = new RemoteKernelsError({
      status: 400,
      detail: "environment 'box': provider: there is none",
      key: 'provider'
    });
    expect(explainEnvironment(error)).toEqual({ provider: 'There is none.' });
  });

  it('finds a free name for a copy', () => {
    expect(copyName('gpu', new Set())).toBe('gpu-copy');
    expect(copyName('gpu', new Set(['gpu-copy']))).toBe('gpu-copy2');
    expect(copyName('x'.repeat(64), new Set()).length).toBeLessThanOrEqual(64);
  });
});

describe('the extension of a reservation', () => {
  const NOW = Date.parse('2026-01-01T01:00:00Z');
  const runtime = makeRuntime({
    lease_s: 7200,
    expires_at: '2026-01-01T02:00:00Z',
    credits_per_hour: 4
  });
  const by = {
    mode: 'by',
    time: { amount: '30', unit: 'minutes' },
    lease_policy: 'terminate'
  } as const;

  it('is by an amount, to an amount, or without an end', () => {
    expect(leaseFor(by, runtime, NOW)).toBe(9000);
    expect(leaseFor({ ...by, mode: 'in' }, runtime, NOW)).toBe(5400);
    expect(leaseFor({ ...by, mode: 'none' }, runtime, NOW)).toBeNull();
    const wrong = { ...by, time: { amount: '', unit: 'hours' } } as const;
    expect(leaseFor(wrong, runtime, NOW)).toBeUndefined();
  });

  it('has no end only where the environment allows it', () => {
    const modes = (max_lease_s: number | null): string[] =>
      possibleModes(runtime, makeEnvironment({ max_lease_s }));
    expect(modes(null)).toEqual(['by', 'in', 'none', 'same']);
    expect(modes(86_400)).toEqual(['by', 'in', 'same']);
    expect(possibleModes(makeRuntime(), undefined)).toEqual(['in']);
  });

  it('sends only what is to be another', () => {
    const values = startExtend(runtime, undefined);
    const send = (changes: Partial<IExtendValues>) =>
      leaseChanges({ ...values, ...changes }, runtime, 0);
    expect(send({ mode: 'same' })).toEqual({});
    expect(send({ mode: 'same', lease_policy: 'pause' })).toEqual({
      lease_policy: 'pause'
    });
    expect(send({ mode: 'none', lease_policy: 'pause' })).toEqual({
      lease_s: null
    });
    expect(send({ mode: 'by' })).toEqual({ lease_s: 9000 });
  });

  it('starts with the usual amount', () => {
    const environment = makeEnvironment({ default_lease_s: 7200 });
    expect(startExtend(runtime, environment).time).toEqual({
      amount: '2',
      unit: 'hours'
    });
  });

  it('says what it costs', () => {
    const say = (lease_s: number | null, left: number | null): string =>
      describeChange(runtime, lease_s, left, trans);
    expect(say(9000, 10)).toBe(
      'Costs up to 2 credits more. 10 credits are left.'
    );
    expect(say(5400, 10)).toBe('Saves up to 2 credits.');
    expect(say(null, null)).toBe('Costs 4 credits an hour.');
    expect(describeChange(makeRuntime(), 9000, null, trans)).toBe('');
  });

  it('tells a refusal beside the time', () => {
    const past = { status: 409, reason: 'lease_over', detail: 'past' };
    const over = new RemoteKernelsError(past);
    expect(explainExtend(over, trans)).toEqual({ time: 'Past.' });
    const away = new RemoteKernelsError({ status: 503, detail: 'away' });
    expect(explainExtend(away, trans)).toEqual({ '': 'Away.' });
  });
});

describe('what was chosen last', () => {
  /** A store in memory. */
  function makeStore(): IStateDB {
    const values = new Map<string, unknown>();
    return {
      fetch: async (key: string) => values.get(key),
      save: async (key: string, value: unknown) => void values.set(key, value)
    } as unknown as IStateDB;
  }
  const openings = { hasCurrent: false };
  const choices = choicesOf(
    startValues(makeEnvironment(), undefined, openings)
  );

  it('is kept per environment', async () => {
    const store = makeStore();
    await remember(store, 'a', choices);
    await remember(store, 'b', { ...choices, cpu: '2' });
    expect(await recall(store)).toEqual({
      environment: 'b',
      choices: { a: choices, b: { ...choices, cpu: '2' } }
    });
  });

  it('is nothing where there is no store, or something else in it', async () => {
    const nothing = { environment: null, choices: {} };
    expect(await recall(null)).toEqual(nothing);
    const store = makeStore();
    await store.save('jupyter-remote-kernels:launch', {
      environment: 'a',
      choices: { a: { cpu: 3 } }
    });
    expect(await recall(store)).toEqual(nothing);
  });
});
