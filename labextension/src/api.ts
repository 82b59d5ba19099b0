/**
 * The shapes of `/api/remote-kernels`, and the interface through which the rest of the extension
 * asks for them. No request is made here; see `rest.ts`.
 */

/** Where a runtime is in its life. */
export type Phase =
  | 'submitted'
  | 'starting'
  | 'running'
  | 'pausing'
  | 'paused'
  | 'resuming'
  | 'stopping'
  | 'stopped'
  | 'failed';

/** What the user wants a runtime to be. */
export type Target = 'running' | 'paused' | 'stopped';

/** What the kernel itself is doing. */
export type ExecutionState = 'starting' | 'idle' | 'busy' | 'dead' | 'unknown';

/** An amount of compute; `null` means not limited, or not known. */
export interface IResources {
  readonly cpu: number | null;
  readonly memory_bytes: number | null;
  readonly gpu: number | null;
}

/** A named recipe for a runtime. */
export interface IEnvironment {
  readonly name: string;
  readonly display_name: string;
  readonly language: string;
  readonly provider: string;
  readonly kernel_name: string;
  readonly kind: 'platform' | 'user';
  readonly resources: IResources;
}

/** Why a kernel or its job ended, in words a user can act on. */
export interface IExit {
  readonly reason: string;
  readonly message: string;
  readonly hint: string;
  readonly code: number | null;
  readonly signal: number | null;
}

/** A document that uses a runtime. */
export interface IConnectedDocument {
  readonly path: string;
  readonly name: string;
  readonly type: string;
  readonly session_id: string;
}

/** What a runtime uses right now. */
export interface IUsage {
  readonly cpu_percent: number | null;
  readonly memory_bytes: number | null;
  readonly memory_limit_bytes: number | null;
  readonly cpu_time_s: number | null;
}

/** One kernel with its agent. Its id is the kernel id and never changes. */
export interface IRuntime {
  readonly id: string;
  readonly name: string;
  readonly tag: string | null;
  readonly environment: string;
  readonly environment_display_name: string;
  readonly kernel_name: string;
  readonly provider: string;
  readonly phase: Phase;
  readonly target: Target;
  readonly reachability: {
    readonly state: 'ok' | 'unknown';
    readonly since: string | null;
  };
  readonly execution_state: ExecutionState;
  readonly step: string | null;
  readonly engine: {
    readonly state: string | null;
    readonly message: string | null;
  };
  readonly created_at: string;
  readonly started_at: string | null;
  readonly last_activity: string | null;
  readonly resources: IResources;
  readonly usage: IUsage;
  readonly executions: number;
  readonly connections: number;
  readonly notebooks: ReadonlyArray<IConnectedDocument>;
  readonly exit: IExit | null;
}

/** What a launch asks for. */
export interface ILaunchRequest {
  readonly environment: string;
  readonly name?: string;
  readonly path?: string;
  readonly tag?: string;
  readonly client_token?: string;
}

/** A runtime that has been asked for. */
export interface ILaunchedRuntime extends IRuntime {
  /** Whether it is a new one; else the client token named one that was there. */
  readonly created: boolean;
  /** The launch; `null` for a runtime that was there. */
  readonly operation: string | null;
}

/** An error as the server tells it (RFC 9457 with our own reason code and hint). */
export interface IProblem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly reason?: string;
  readonly hint?: string;
}

/** Something that takes time. */
export interface IOperation {
  readonly id: string;
  readonly kind: 'launch' | 'restart' | 'terminate';
  readonly runtime_id: string;
  readonly state: 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly step: string | null;
  readonly created_at: string;
  readonly finished_at: string | null;
  readonly error: IProblem | null;
}

/** What a terminated runtime has used. */
export interface IFinalStatistics {
  readonly age_s: number;
  readonly cpu_time_s: number | null;
  readonly executions: number;
}

/** A piece of a runtime's log. */
export interface ILogPage {
  readonly text: string;
  readonly offset: number;
  readonly next_offset: number;
  readonly size_bytes: number;
  readonly complete: boolean;
}

/** Everything the server can be asked for. */
export interface IRemoteKernelsApi {
  listEnvironments(): Promise<IEnvironment[]>;
  listRuntimes(): Promise<IRuntime[]>;
  getRuntime(id: string): Promise<IRuntime>;
  launch(request: ILaunchRequest): Promise<ILaunchedRuntime>;
  updateRuntime(
    id: string,
    changes: { name?: string; tag?: string | null }
  ): Promise<IRuntime>;
  terminate(id: string): Promise<IFinalStatistics>;
  interrupt(id: string): Promise<void>;
  restart(id: string): Promise<IOperation>;
  getLogs(id: string, offset: number, limit: number): Promise<ILogPage>;
  getOperation(id: string): Promise<IOperation>;
  cancelOperation(id: string): Promise<IOperation>;
}
