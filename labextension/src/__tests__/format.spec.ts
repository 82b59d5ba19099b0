import type { IRuntime } from '../api';
import {
  asSentences,
  describeBadge,
  describeProgress,
  describeState,
  describeUsage,
  formatBytes,
  isComing,
  memoryShare
} from '../format';
import { makeRuntime, trans } from './runtime';

const runtime = makeRuntime;

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [400 * 2 ** 20, '400 MiB']
  ])('formats %d as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('asSentences', () => {
  it('begins and ends each text', () => {
    expect(asSentences('exit code 7', '', null, 'See the log.')).toBe(
      'Exit code 7. See the log.'
    );
  });
});

describe('describeState', () => {
  it('says what the queue says', () => {
    const queued = runtime({
      phase: 'submitted',
      engine: { state: 'queued', message: 'Waiting for resources' }
    });
    expect(describeState(queued, trans).kind).toBe('queued');
    expect(describeBadge(queued, trans).label).toBe(
      'Queued: Waiting for resources'
    );
    expect(isComing(queued)).toBe(true);
  });

  it('does not take unreachable for dead', () => {
    const away = runtime({ reachability: { state: 'unknown', since: null } });
    expect(describeState(away, trans).kind).toBe('unreachable');
  });

  it('tells busy from idle and dead', () => {
    const kind = (execution_state: IRuntime['execution_state']) =>
      describeState(runtime({ execution_state }), trans).kind;
    expect([kind('idle'), kind('busy'), kind('dead')]).toEqual([
      'idle',
      'busy',
      'failed'
    ]);
  });
});

describe('usage', () => {
  it('is empty when nothing is known', () => {
    expect(describeUsage(runtime(), trans)).toEqual([]);
    expect(memoryShare(runtime())).toBeNull();
  });

  it('shows the memory beside its limit', () => {
    const usage = {
      cpu_percent: 12.4,
      memory_bytes: 100 * 2 ** 20,
      memory_limit_bytes: 400 * 2 ** 20,
      cpu_time_s: 1
    };
    expect(describeUsage(runtime({ usage }), trans)).toEqual([
      'CPU 12%',
      'Memory 100 / 400 MiB'
    ]);
    expect(memoryShare(runtime({ usage }))).toBe(0.25);
  });
});

describe('the way back', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const away = (next_try_at: string | null) =>
    runtime({
      reachability: {
        state: 'unknown',
        since: '2025-12-31T23:59:00Z',
        attempt: 2,
        next_try_at,
        message: 'no route to host'
      }
    });

  it('says why, and when it is tried next', () => {
    const waiting = away('2026-01-01T00:00:03.200Z');
    expect(describeState(waiting, trans).detail).toBe('No route to host.');
    expect(describeProgress(waiting, now, trans)).toBe(
      'trying again in 4 s (attempt 3)'
    );
  });

  it('does not count below zero', () => {
    const text = 'trying again (attempt 3)';
    expect(describeProgress(away(null), now, trans)).toBe(text);
    expect(describeProgress(away('2025-12-31T23:59:59Z'), now, trans)).toBe(
      text
    );
  });

  it('says how much of what was missed has come', () => {
    const back = runtime({ replaying: { done: 12, total: 400 } });
    expect(describeState(back, trans).kind).toBe('replaying');
    expect(describeProgress(back, now, trans)).toBe('12 of 400');
  });

  it('says nothing about a runtime that is there', () => {
    expect(describeProgress(runtime(), now, trans)).toBe('');
    const gone = { ...away(null), phase: 'stopped' as const };
    expect(describeProgress(gone, now, trans)).toBe('');
  });

  it('says why output waits', () => {
    const full = runtime({ output_held: 'the disk is full' });
    expect(describeState(full, trans).detail).toBe('The disk is full.');
    expect(describeBadge(full, trans).detail).toBe('The disk is full.');
  });
});
