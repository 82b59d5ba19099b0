import type { TranslationBundle } from '@jupyterlab/translation';

import type { IEnvironment, IRuntime } from '../api';

/** An idle runtime, with changes. */
export function makeRuntime(changes: Partial<IRuntime> = {}): IRuntime {
  return {
    id: 'r',
    name: 'Python (remote)',
    tag: null,
    environment: 'python',
    environment_display_name: 'Python (remote)',
    kernel_name: 'remote-python',
    provider: 'local',
    phase: 'running',
    target: 'running',
    reachability: { state: 'ok', since: null },
    execution_state: 'idle',
    step: null,
    engine: { state: null, message: null },
    created_at: '2026-01-01T00:00:00Z',
    started_at: null,
    last_activity: null,
    resources: { cpu: null, memory_bytes: null, gpu: null },
    usage: {
      cpu_percent: null,
      memory_bytes: null,
      memory_limit_bytes: null,
      cpu_time_s: null
    },
    executions: 0,
    connections: 0,
    notebooks: [],
    exit: null,
    lease_s: null,
    expires_at: null,
    credits_per_hour: 0,
    credits: 0,
    persistent: false,
    volumes: [],
    ...changes
  };
}

const NO_LIMITS = { cpu: null, memory_bytes: null, gpu: null };

/** An environment without limits, with changes. */
export function makeEnvironment(
  changes: Partial<IEnvironment> = {}
): IEnvironment {
  return {
    name: 'python',
    display_name: 'Python (remote)',
    description: '',
    kernel_name: 'remote-python',
    kind: 'platform',
    language: 'python',
    provider: 'local',
    argv: [],
    options: {},
    resources: NO_LIMITS,
    max_resources: NO_LIMITS,
    credits_per_hour: 0,
    paused_credits_per_hour: 0,
    default_lease_s: null,
    max_lease_s: null,
    idle_pause_s: null,
    lease_policy: 'terminate',
    silence_policy: 'terminate',
    example_notebook: null,
    warm: 0,
    fork: true,
    env_allowed: [],
    env: {},
    volume: { path: '~/persistent', default: false },
    ...changes
  };
}

function fill(text: string, args: unknown[]): string {
  return args.reduce<string>(
    (result, arg, index) => result.replace(`%${index + 1}`, String(arg)),
    text
  );
}

/** Texts in English, with their arguments put in. */
export const trans = {
  __: (text: string, ...args: unknown[]) => fill(text, args),
  _n: (one: string, many: string, count: number, ...args: unknown[]) =>
    fill(count === 1 ? one : many, [count, ...args])
} as unknown as TranslationBundle;
