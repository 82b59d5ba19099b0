import { Signal } from '@lumino/signaling';

import type { IRuntime } from '../api';
import {
  dueWarning,
  extensionSteps,
  isReservationOver,
  nextWarningMs,
  Reservations,
  timeLeftMs,
  type IReservationChange
} from '../reservations';
import type { ILeaseWarning, IRemoteKernels } from '../tokens';
import { makeEnvironment, makeRuntime } from './runtime';

const NOW = Date.parse('2026-01-01T00:00:00Z');

/** A runtime with so many seconds left. */
function leased(left_s: number, changes: Partial<IRuntime> = {}): IRuntime {
  return makeRuntime({
    lease_s: 7200,
    expires_at: new Date(NOW + left_s * 1000).toISOString(),
    ...changes
  });
}

const EXIT = { message: '', hint: '', code: null, signal: null };
const OVER = {
  phase: 'failed',
  exit: { ...EXIT, reason: 'lease_over' }
} as const;

describe('dueWarning', () => {
  it.each([
    [301, null],
    [300, 300],
    [61, 300],
    [60, 60],
    [0, 60]
  ])('with %d s left is %p', (left, warning) => {
    expect(dueWarning(leased(left), NOW)).toBe(warning);
  });

  it('is none when the whole reservation is shorter', () => {
    expect(dueWarning(leased(200, { lease_s: 200 }), NOW)).toBeNull();
    expect(dueWarning(leased(59, { lease_s: 200 }), NOW)).toBe(60);
  });

  it('is none for what does not run, or has no end', () => {
    expect(dueWarning(leased(10, OVER), NOW)).toBeNull();
    expect(dueWarning(leased(10, { phase: 'stopping' }), NOW)).toBeNull();
    expect(dueWarning(makeRuntime(), NOW)).toBeNull();
  });

  it('is waited for no longer than needed', () => {
    expect(nextWarningMs(leased(310), NOW)).toBe(10_000);
    expect(nextWarningMs(leased(300), NOW)).toBe(240_000);
    expect(nextWarningMs(leased(60), NOW)).toBeNull();
  });
});

describe('the end', () => {
  it('is known by its reason', () => {
    expect(isReservationOver(leased(0, OVER))).toBe(true);
    const crash = { ...EXIT, reason: 'crashed' };
    expect(isReservationOver(leased(0, { ...OVER, exit: crash }))).toBe(false);
    expect(timeLeftMs(leased(-5), NOW)).toBe(0);
  });
});

describe('extensionSteps', () => {
  it('begins with the usual reservation of the environment', () => {
    const steps = (changes: object): number[] =>
      extensionSteps(leased(60), makeEnvironment(changes));
    expect(steps({ default_lease_s: 7200 })).toEqual([7200, 1800, 3600]);
    expect(steps({ default_lease_s: 3600 })).toEqual([3600, 1800]);
    expect(steps({})).toEqual([1800, 3600]);
  });

  it('stays within the longest reservation', () => {
    const steps = (max_lease_s: number): number[] =>
      extensionSteps(leased(60), makeEnvironment({ max_lease_s }));
    expect(steps(10_000)).toEqual([1800]);
    expect(steps(7800)).toEqual([600]);
    expect(steps(7200)).toEqual([]);
  });
});

describe('Reservations', () => {
  let runtimes: Map<string, IRuntime>;
  let model: IRemoteKernels;
  let changed: Signal<IRemoteKernels, void>;
  let leaseWarned: Signal<IRemoteKernels, ILeaseWarning>;
  let reservations: Reservations;
  let told: IReservationChange[];

  const put = (runtime: IRuntime): void => {
    runtimes.set(runtime.id, runtime);
    changed.emit();
  };

  beforeEach(() => {
    jest.useFakeTimers({ now: NOW });
    runtimes = new Map();
    model = {
      get runtimes() {
        return [...runtimes.values()];
      },
      find: (id: string) => runtimes.get(id)
    } as unknown as IRemoteKernels;
    changed = new Signal(model);
    leaseWarned = new Signal(model);
    Object.assign(model, { changed, leaseWarned });
    reservations = new Reservations(model, { now: () => Date.now() });
    told = [];
    reservations.changed.connect((_, change) => told.push(change));
  });

  afterEach(() => {
    reservations.dispose();
    jest.useRealTimers();
  });

  it('warns once at five minutes and once at one', () => {
    put(leased(302));
    jest.advanceTimersByTime(1000);
    expect(told).toEqual([]);
    jest.advanceTimersByTime(1500);
    expect(told).toEqual([{ runtimeId: 'r', warning_s: 300 }]);
    changed.emit();
    changed.emit();
    jest.advanceTimersByTime(200_000);
    expect(told).toHaveLength(1);
    jest.advanceTimersByTime(60_000);
    expect(told.map(({ warning_s }) => warning_s)).toEqual([300, 60]);
    expect(reservations.warningOf('r')).toBe(60);
  });

  it('takes a warning back when the reservation is extended, and when it ends', () => {
    put(leased(200));
    put(leased(2000));
    expect(told.map(({ warning_s }) => warning_s)).toEqual([300, null]);
    put(leased(30));
    put(leased(0, OVER));
    runtimes.clear();
    changed.emit();
    expect(told.map(({ warning_s }) => warning_s)).toEqual([
      300,
      null,
      60,
      null
    ]);
  });

  it('is quiet about what somebody has taken note of, until the next warning', () => {
    put(leased(200));
    reservations.acknowledge('r');
    changed.emit();
    expect(reservations.warningOf('r')).toBeNull();
    expect(told.map(({ warning_s }) => warning_s)).toEqual([300, null]);
    jest.advanceTimersByTime(141_000);
    expect(told.map(({ warning_s }) => warning_s)).toEqual([300, null, 60]);
  });

  it('believes the server when it warns before our own clock does', () => {
    put(leased(330));
    leaseWarned.emit({ runtimeId: 'r', warning_s: 300 });
    expect(reservations.warningOf('r')).toBe(300);
    put(leased(3000));
    expect(reservations.warningOf('r')).toBeNull();
  });
});
