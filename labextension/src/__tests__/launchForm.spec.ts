import { RemoteKernelsError } from '../errors';
import {
  checkLaunch,
  choicesOf,
  describeEstimate,
  describeLimit,
  explainLaunch,
  mostAllowed,
  possibleOpenings,
  startValues,
  toLaunchRequest,
  type ILaunchValues
} from '../launchForm';
import { makeEnvironment, trans } from './runtime';

const GIB = 2 ** 30;
const box = makeEnvironment({
  name: 'gpu',
  default_lease_s: 7200,
  max_lease_s: 86_400,
  resources: { cpu: 4, memory_bytes: 16 * GIB, gpu: null },
  max_resources: { cpu: 8, memory_bytes: null, gpu: null },
  example_notebook: 'start.ipynb',
  volume: { path: '~/persistent', default: true }
});
const start = (changes: Partial<ILaunchValues> = {}): ILaunchValues => ({
  ...startValues(box, undefined, { hasCurrent: false }),
  ...changes
});

describe('startValues', () => {
  it('is what the environment says', () => {
    expect(start()).toMatchObject({
      environment: 'gpu',
      hasEnd: true,
      lease: { amount: '2', unit: 'hours' },
      persistent: true,
      cpu: '4',
      memory: '16 GiB',
      gpu: '',
      opening: 'notebook'
    });
  });

  it('takes the longest reservation where no usual one is named', () => {
    const values = startValues(
      makeEnvironment({ max_lease_s: 1800 }),
      undefined,
      { hasCurrent: false }
    );
    expect(values.lease).toEqual({ amount: '30', unit: 'minutes' });
  });

  it('has no end where the environment names none', () => {
    const values = startValues(makeEnvironment(), undefined, {
      hasCurrent: false
    });
    expect(values.hasEnd).toBe(false);
  });

  it('takes over the last choices as far as they are possible', () => {
    const last = choicesOf(
      start({ opening: 'current', persistent: false, hasEnd: false, cpu: '8' })
    );
    const without = startValues(box, last, { hasCurrent: false });
    expect(without).toMatchObject({
      persistent: false,
      cpu: '8',
      opening: 'notebook',
      hasEnd: true
    });
    const current = startValues(box, last, { hasCurrent: true });
    expect(current.opening).toBe('current');
  });
});

describe('checkLaunch', () => {
  it('finds nothing wrong with what is filled in at first', () => {
    expect(checkLaunch(start(), trans)).toEqual({});
  });

  it('names the fields that cannot be read', () => {
    const values = start({
      lease: { amount: 'long', unit: 'hours' },
      cpu: 'all',
      memory: 'much',
      gpu: '-1'
    });
    const found = Object.keys(checkLaunch(values, trans));
    expect(found.sort()).toEqual(['cpu', 'gpu', 'lease', 'memory']);
    const zero = start({ lease: { amount: '0', unit: 'hours' } });
    expect(Object.keys(checkLaunch(zero, trans))).toEqual(['lease']);
  });
});

describe('toLaunchRequest', () => {
  it('asks only for what differs from the environment', () => {
    expect(toLaunchRequest(start(), box, undefined)).toEqual({
      environment: 'gpu',
      lease_s: 7200,
      persistent: true
    });
  });

  it('asks for what is filled in', () => {
    const values = start({
      name: ' Night ',
      lease: { amount: '90', unit: 'minutes' },
      persistent: false,
      volumes: ['data'],
      cpu: '2',
      memory: '8',
      gpu: '1',
      opening: 'example'
    });
    expect(toLaunchRequest(values, box, 'work')).toEqual({
      environment: 'gpu',
      name: 'Night',
      path: 'work',
      lease_s: 5400,
      persistent: false,
      volumes: ['data'],
      resources: { cpu: 2, memory_bytes: 8 * GIB, gpu: 1 },
      notebook: true
    });
  });

  it('asks for no end', () => {
    const values = start({ hasEnd: false });
    const request = toLaunchRequest(values, box, undefined);
    expect(request).not.toHaveProperty('lease_s');
  });
});

describe('what is possible', () => {
  it('depends on the environment and on what is open', () => {
    expect(possibleOpenings(box, { hasCurrent: true })).toEqual([
      'notebook',
      'console',
      'example',
      'current',
      'nothing'
    ]);
    expect(possibleOpenings(makeEnvironment(), { hasCurrent: false })).toEqual([
      'notebook',
      'console',
      'nothing'
    ]);
  });

  it('is at most what a runtime gets where no more is named', () => {
    expect(mostAllowed(box, 'cpu')).toBe(8);
    expect(mostAllowed(box, 'memory_bytes')).toBe(16 * GIB);
    expect(mostAllowed(box, 'gpu')).toBeNull();
  });
});

describe('cost', () => {
  const estimate = {
    credits: 8,
    credits_per_hour: 4,
    left: 12.5,
    lease_s: 7200,
    problem: null
  };
  it.each([
    [{}, 'Costs at most 8 credits. 12.5 credits are left.'],
    [{ left: null }, 'Costs at most 8 credits.'],
    [{ credits: null, left: null }, 'Costs 4 credits an hour.'],
    [{ credits_per_hour: 0 }, 'Costs no credits.']
  ])('with %p', (changes, text) => {
    const changed = { ...estimate, ...changes };
    expect(describeEstimate(changed, 7200, trans)).toBe(text);
  });

  it('is all that is left where no end was asked for', () => {
    expect(describeEstimate(estimate, null, trans)).toBe(
      'Costs at most 8 credits. 12.5 credits are left. Ends after 2 h.'
    );
  });
});

describe('refusals', () => {
  const limit = {
    name: 'memory',
    scope: 'environment',
    asked: 32 * GIB,
    allowed: 16 * GIB,
    used: 0
  } as const;

  it('are told beside the field they are about', () => {
    const field = (name: 'cpu' | 'credits' | 'runtimes'): string[] =>
      Object.keys(
        explainLaunch(
          new RemoteKernelsError({
            status: 406,
            reason: 'limit_exceeded',
            limit: { ...limit, name }
          }),
          trans
        )
      );
    expect(field('cpu')).toEqual(['cpu']);
    expect(field('credits')).toEqual(['lease']);
    expect(field('runtimes')).toEqual(['environment']);
  });

  it('say what is allowed', () => {
    expect(describeLimit(limit, trans)).toBe(
      'This environment allows at most 16 GiB.'
    );
    expect(
      describeLimit({ ...limit, scope: 'user', used: 4 * GIB }, trans)
    ).toBe('You may use at most 16 GiB, and 4 GiB are in use.');
    expect(
      describeLimit({ ...limit, name: 'lease', allowed: 3600 }, trans)
    ).toBe('This environment allows at most 1 h.');
  });

  it('that are about no field are told below', () => {
    const unknown = new RemoteKernelsError({ detail: 'no', hint: 'ask' });
    expect(explainLaunch(unknown, trans)).toEqual({ '': 'No. Ask.' });
    const volume = new RemoteKernelsError({ reason: 'unknown_volume' });
    expect(Object.keys(explainLaunch(volume, trans))).toEqual(['volumes']);
  });
});
