import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type {
  ExecutionState,
  IEnvironment,
  IEnvironmentProblem,
  IEstimate,
  IExit,
  ILaunchRequest,
  ILeaseChanges,
  ILogPage,
  IOperation,
  IRuntime,
  IUsageReport,
  IVolume
} from './api';
import type { IClock } from './clock';
import type { RemoteKernelsError } from './errors';
import type { IExecutionsApi } from './executionsApi';
import type { ILoadable } from './loadable';
import type {
  IMoveRequest,
  IRestoreRequest,
  ISnapshot,
  ISnapshotDetails,
  ISnapshotLabel,
  ITransferRequest,
  IVariables
} from './stateApi';

/** How far the model has got in reading the server's state. */
export type ModelStatus = 'loading' | 'ready' | 'missing' | 'error';

/** A kernel that ended without having been asked to. */
export interface IKernelEnd {
  readonly runtime: IRuntime;
  readonly exit: IExit;
}

/** A launch that has been accepted. */
export interface ILaunch {
  readonly runtimeId: string;
  /** Where the example notebook is, when it was asked for. */
  readonly notebook: string | null;
  /** Give up waiting and give back what was started. */
  cancel(): Promise<void>;
}

/** What the server says about the end of a reservation. */
export interface ILeaseWarning {
  readonly runtimeId: string;
  /** How many seconds were left when it said so. */
  readonly warning_s: number;
}

/** The user's volumes. */
export interface IVolumes extends ILoadable<ReadonlyArray<IVolume>> {
  create(name: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** The user's snapshots. */
export interface ISnapshots extends ILoadable<ReadonlyArray<ISnapshot>> {
  /** Begin to save the state of a kernel that goes on. */
  take(runtimeId: string, label: ISnapshotLabel): Promise<IOperation>;
  /** Everything about one, with its variables. */
  read(id: string): Promise<ISnapshotDetails>;
  /** Name one, which also keeps it. */
  label(id: string, label: ISnapshotLabel): Promise<void>;
  remove(id: string): Promise<void>;
  /** Begin to put variables of one into a kernel that runs. */
  restore(id: string, request: IRestoreRequest): Promise<IOperation>;
  /** Take in a file; one that another server has signed only with trust. */
  upload(
    content: Blob,
    trust: boolean,
    signal?: AbortSignal
  ): Promise<ISnapshotDetails>;
  /** From where one can be downloaded as a file. */
  urlOf(id: string): string;
}

/**
 * The runtimes and environments of this server, kept up to date.
 *
 * Actions reject with a `RemoteKernelsError`; their effect is seen through `changed`.
 */
export interface IRemoteKernels {
  /** Runtimes in the order in which they were created, newest first. */
  readonly runtimes: ReadonlyArray<IRuntime>;

  /** Environments in the order of their display names. */
  readonly environments: ReadonlyArray<IEnvironment>;

  /** Files of environments that could not be read. */
  readonly environmentProblems: ReadonlyArray<IEnvironmentProblem>;

  /** The user's volumes; empty until somebody refreshes them. */
  readonly volumes: IVolumes;

  /** The user's snapshots; empty until somebody refreshes them. */
  readonly snapshots: ISnapshots;

  /** What has been used; empty until somebody refreshes it. */
  readonly usage: ILoadable<IUsageReport>;

  /** What the server keeps of the runs of cells. */
  readonly executions: IExecutionsApi;

  /** The server's time. */
  readonly clock: IClock;

  readonly status: ModelStatus;

  /** Why the last refresh failed; `null` after one that did not. */
  readonly error: RemoteKernelsError | null;

  /** Emitted after anything above has changed. */
  readonly changed: ISignal<IRemoteKernels, void>;

  /** Emitted when a kernel ended by itself, with the cause as the server knows it. */
  readonly kernelEnded: ISignal<IRemoteKernels, IKernelEnd>;

  /** Emitted when the server warns of the end of a reservation. */
  readonly leaseWarned: ISignal<IRemoteKernels, ILeaseWarning>;

  find(id: string): IRuntime | undefined;

  findEnvironment(name: string): IEnvironment | undefined;

  /**
   * Why the runtime's kernel last ended by itself.
   *
   * The server forgets it when the kernel is back; a person who comes back later does not.
   */
  lastExit(id: string): IExit | null;

  /** Forget the last exit: somebody has taken note of it. */
  forgetExit(id: string): void;

  /** Read everything again. Never rejects: see `status` and `error`. */
  refresh(): Promise<void>;

  /** Read one runtime again; `undefined` when it is gone. */
  refreshRuntime(id: string): Promise<IRuntime | undefined>;

  /** Ask for a runtime to be read again soon; calls in quick succession are one. */
  invalidate(id: string): void;

  /** Take over what a kernel said about itself, ahead of the server's own view. */
  observe(id: string, state: ExecutionState): void;

  launch(request: ILaunchRequest): Promise<ILaunch>;
  interrupt(id: string): Promise<void>;
  restart(id: string): Promise<void>;
  /** Save the state and give the compute back; how far it is, the operation tells. */
  pause(id: string): Promise<IOperation>;
  resume(id: string): Promise<IOperation>;
  /** Save the state, and go on with it in another environment. */
  move(id: string, request: IMoveRequest): Promise<IOperation>;
  /** Copy variables from one kernel to another; the kernels need not be runtimes. */
  transfer(request: ITransferRequest): Promise<IOperation>;
  /** How far something is that takes time. */
  getOperation(id: string): Promise<IOperation>;
  cancelOperation(id: string): Promise<IOperation>;
  /** Asks any kernel of this server, after what it is running now. */
  listVariables(id: string, signal?: AbortSignal): Promise<IVariables>;
  rename(id: string, name: string): Promise<void>;
  terminate(id: string): Promise<void>;
  /** Change how long the reservation is, or what becomes of the runtime at its end. */
  setLease(id: string, changes: ILeaseChanges): Promise<void>;
  /** What a launch can cost; `undefined` stands for the environment's own reservation. */
  estimate(environment: string, lease_s?: number | null): Promise<IEstimate>;
  /** Write an environment of the user's; it is there when the promise resolves. */
  saveEnvironment(name: string, settings: object): Promise<void>;
  deleteEnvironment(name: string): Promise<void>;
  getLogs(id: string, offset: number, limit: number): Promise<ILogPage>;
}

/** The token under which other extensions get the model. */
export const IRemoteKernels = new Token<IRemoteKernels>(
  'jupyter-remote-kernels:IRemoteKernels',
  'The runtimes and environments of remote kernels, with the actions on them.'
);

/** Names of the commands, for callers in other extensions. */
export namespace CommandIDs {
  export const openPanel = 'remote-kernels:open-panel';
  export const refresh = 'remote-kernels:refresh';
  export const launch = 'remote-kernels:launch';
  export const interrupt = 'remote-kernels:interrupt';
  export const restart = 'remote-kernels:restart';
  export const pause = 'remote-kernels:pause';
  export const resume = 'remote-kernels:resume';
  export const move = 'remote-kernels:move';
  export const transfer = 'remote-kernels:transfer';
  export const rename = 'remote-kernels:rename';
  export const terminate = 'remote-kernels:terminate';
  export const showLogs = 'remote-kernels:show-logs';
  export const openNotebook = 'remote-kernels:open-notebook';
  export const extend = 'remote-kernels:extend';
  export const addEnvironment = 'remote-kernels:add-environment';
  export const editEnvironment = 'remote-kernels:edit-environment';
  export const duplicateEnvironment = 'remote-kernels:duplicate-environment';
  export const deleteEnvironment = 'remote-kernels:delete-environment';
  export const takeSnapshot = 'remote-kernels:take-snapshot';
  export const launchSnapshot = 'remote-kernels:launch-snapshot';
  export const restoreSnapshot = 'remote-kernels:restore-snapshot';
  export const labelSnapshot = 'remote-kernels:label-snapshot';
  export const downloadSnapshot = 'remote-kernels:download-snapshot';
  export const uploadSnapshot = 'remote-kernels:upload-snapshot';
  export const deleteSnapshot = 'remote-kernels:delete-snapshot';
  export const createVolume = 'remote-kernels:create-volume';
  export const deleteVolume = 'remote-kernels:delete-volume';
}

/** The domain under which our texts are translated. */
export const TRANSLATION_DOMAIN = 'jupyter_remote_kernels';
