import type { IRuntime } from '../api';

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
    ...changes
  };
}
