/**
 * The shapes of `/api/remote-kernels`, and the interface through which the rest of the extension
 * asks for them. No request is made here; see `rest.ts`.
 */

import type { IExecutionsApi } from './executionsApi';
import type { IStateApi, IStateResult } from './stateApi';

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

/** What becomes of a runtime when its reservation is over. */
export type LeasePolicy = 'terminate' | 'pause';

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

/** What an admin or a user writes down about an environment. */
export interface IEnvironmentSettings {
  readonly display_name: string;
  /** Plain text for the dialog. */
  readonly description: string;
  readonly language: string;
  readonly provider: string;
  readonly argv: ReadonlyArray<string>;
  /** The provider's own options. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What a runtime gets unless it asks for something else. */
  readonly resources: IResources;
  /** What a launch may ask for; where it is `null`, what `resources` says is the most. */
  readonly max_resources: IResources;
  readonly credits_per_hour: number;
  readonly paused_credits_per_hour: number;
  /** `null`: without an end. */
  readonly default_lease_s: number | null;
  /** `null`: no limit, and an end is not required. */
  readonly max_lease_s: number | null;
  /** After how long without anything to do it is paused; `null`: never. */
  readonly idle_pause_s: number | null;
  readonly lease_policy: LeasePolicy;
  readonly silence_policy: string;
  readonly example_notebook: string | null;
  readonly warm: number;
  readonly fork: boolean;
  /** Patterns of the variables that a launch may set. */
  readonly env_allowed: ReadonlyArray<string>;
  readonly env: Readonly<Record<string, string>>;
  readonly volume: {
    /** Under which path persistent storage appears. */
    readonly path: string;
    /** Whether launches get it unless they say otherwise. */
    readonly default: boolean;
  };
}

/** A named recipe for a runtime. */
export interface IEnvironment extends IEnvironmentSettings {
  readonly name: string;
  readonly kernel_name: string;
  readonly kind: 'platform' | 'user';
}

/** An environment's file that could not be read. */
export interface IEnvironmentProblem {
  readonly file: string;
  readonly name: string;
  readonly key: string | null;
  readonly reason: string;
}

/** All environments, and the files that are none. */
export interface IEnvironmentList {
  readonly environments: IEnvironment[];
  readonly problems: IEnvironmentProblem[];
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
    /** How often it was tried in vain since then. */
    readonly attempt?: number | null;
    /** `null` while it is being tried. */
    readonly next_try_at?: string | null;
    /** Why the last try failed. */
    readonly message?: string | null;
  };
  /** Messages that come late after the connection was lost; `null` when none do. */
  readonly replaying?: { readonly done: number; readonly total: number } | null;
  /** Why output waits in the kernel, such as a full disk beside it. */
  readonly output_held?: string | null;
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
  /** What its next kernel begins with. */
  readonly snapshot_id?: string | null;
  readonly snapshot_bytes?: number | null;
  /** The whole time reservation, from the start of the runtime; `null` without one. */
  readonly lease_s: number | null;
  readonly expires_at: string | null;
  readonly lease_policy?: LeasePolicy;
  readonly credits_per_hour: number;
  /** Used until now. */
  readonly credits: number;
  /** Whether it has persistent storage. */
  readonly persistent: boolean;
  readonly volumes: ReadonlyArray<{
    readonly name: string;
    readonly path: string;
  }>;
}

/** An amount of compute as a launch asks for it; what is absent is the environment's. */
export interface IRequestedResources {
  readonly cpu?: number;
  readonly memory_bytes?: number;
  readonly gpu?: number;
}

/** What a launch asks for. */
export interface ILaunchRequest {
  readonly environment: string;
  readonly name?: string;
  readonly path?: string;
  readonly tag?: string;
  readonly client_token?: string;
  /** In seconds; absent: as the environment says. */
  readonly lease_s?: number | null;
  /** Absent: as the environment says. */
  readonly lease_policy?: LeasePolicy;
  readonly persistent?: boolean;
  /** Names of volumes, each with `:` and its name in the runtime where that is another one. */
  readonly volumes?: ReadonlyArray<string>;
  readonly resources?: IRequestedResources;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether to put the example notebook where it can be opened. */
  readonly notebook?: boolean;
  /** The snapshot whose state it begins with. */
  readonly snapshot?: string;
}

/** A runtime that has been asked for. */
export interface ILaunchedRuntime extends IRuntime {
  /** Whether it is a new one; else the client token named one that was there. */
  readonly created: boolean;
  /** The launch; `null` for a runtime that was there. */
  readonly operation: string | null;
  /** Where the example notebook is, when it was asked for. */
  readonly notebook?: string | null;
}

/** What was asked for, and the limit that it is over. */
export interface ILimit {
  readonly name: 'cpu' | 'memory' | 'gpu' | 'runtimes' | 'credits' | 'lease';
  readonly scope: 'environment' | 'user' | 'provider';
  readonly asked: number;
  readonly allowed: number;
  readonly used: number;
}

/** An error as the server tells it (RFC 9457 with our own reason code and hint). */
export interface IProblem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly reason?: string;
  readonly hint?: string;
  /** With `limit_exceeded`. */
  readonly limit?: ILimit;
  /** With `invalid_environment`: which key is wrong. */
  readonly key?: string;
}

/** Something that takes time. */
export interface IOperation {
  readonly id: string;
  readonly kind:
    | 'launch'
    | 'restart'
    | 'terminate'
    | 'pause'
    | 'resume'
    | 'snapshot'
    | 'transfer'
    | 'move'
    | 'restore';
  /** Where something changes; with a transfer the target. */
  readonly runtime_id: string;
  /** With a transfer: where the variables come from. */
  readonly source_id?: string | null;
  readonly state: 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly step: string | null;
  /** How much of a state has been moved; `null` where none is, or nobody knows. */
  readonly done_bytes?: number | null;
  readonly total_bytes?: number | null;
  readonly created_at: string;
  readonly finished_at: string | null;
  readonly error: IProblem | null;
  /** What has come of it; `null` before its end, and where there is nothing to say. */
  readonly result?: IStateResult | null;
}

/** What a terminated runtime has used. */
export interface IFinalStatistics {
  readonly age_s: number;
  readonly cpu_time_s: number | null;
  readonly memory_max_bytes: number | null;
  readonly executions: number;
  readonly credits: number;
}

/** What a launch can cost. */
export interface IEstimate {
  /** Until the end of the reservation; `null` when it has none. */
  readonly credits: number | null;
  readonly credits_per_hour: number;
  /** Of the budget; `null` without one. */
  readonly left: number | null;
  /** The reservation that a launch would get. */
  readonly lease_s: number | null;
  /** Why such a launch would be refused. */
  readonly problem: IProblem | null;
}

/** What one runtime has used. */
export interface IRuntimeUsage {
  readonly runtime_id: string;
  readonly name: string;
  readonly environment: string;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly seconds: number;
  readonly paused_seconds: number;
  readonly credits: number;
  readonly living: boolean;
}

/** What was used on one day. */
export interface IDayUsage {
  readonly date: string;
  readonly seconds: number;
  readonly credits: number;
}

/** What has been used of the budget. */
export interface IUsageReport {
  readonly budget: number | null;
  readonly period: 'day' | 'month' | 'total';
  readonly period_started_at: string | null;
  readonly used: number;
  /** By the reservations that go on. */
  readonly reserved: number;
  readonly left: number | null;
  readonly runtimes: ReadonlyArray<IRuntimeUsage>;
  readonly days: ReadonlyArray<IDayUsage>;
}

/** A named place for files that outlives runtimes. */
export interface IVolume {
  readonly name: string;
  readonly size_bytes: number | null;
  readonly created_at: string;
  readonly used_by: ReadonlyArray<string>;
  readonly path: string | null;
}

/** What can be changed about a reservation. */
export interface ILeaseChanges {
  /** The whole reservation from the start; `null` for no end. */
  readonly lease_s?: number | null;
  readonly lease_policy?: LeasePolicy;
}

/** What can be changed about a runtime. */
export interface IRuntimeChanges extends ILeaseChanges {
  readonly name?: string;
  readonly tag?: string | null;
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
export interface IRemoteKernelsApi extends IExecutionsApi, IStateApi {
  listEnvironments(): Promise<IEnvironmentList>;
  saveEnvironment(name: string, settings: object): Promise<IEnvironment>;
  deleteEnvironment(name: string): Promise<void>;
  listRuntimes(): Promise<IRuntime[]>;
  getRuntime(id: string): Promise<IRuntime>;
  launch(request: ILaunchRequest): Promise<ILaunchedRuntime>;
  updateRuntime(id: string, changes: IRuntimeChanges): Promise<IRuntime>;
  terminate(id: string): Promise<IFinalStatistics>;
  interrupt(id: string): Promise<void>;
  restart(id: string): Promise<IOperation>;
  getLogs(id: string, offset: number, limit: number): Promise<ILogPage>;
  getOperation(id: string): Promise<IOperation>;
  cancelOperation(id: string): Promise<IOperation>;
  estimate(environment: string, lease_s?: number | null): Promise<IEstimate>;
  getUsage(days: number): Promise<IUsageReport>;
  listVolumes(): Promise<IVolume[]>;
  createVolume(name: string): Promise<IVolume>;
  deleteVolume(name: string): Promise<void>;
}
