import type { IRuntime } from '../api';
import {
  asSentences,
  describeBadge,
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
