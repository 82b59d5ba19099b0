import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';

import type {
  ExecutionState,
  IEnvironment,
  IEnvironmentList,
  IEnvironmentProblem,
  IEstimate,
  IExit,
  ILaunchRequest,
  ILeaseChanges,
  ILogPage,
  IOperation,
  IRemoteKernelsApi,
  IRuntime,
  IUsageReport
} from './api';
import type { IClock } from './clock';
import { RemoteKernelsError, SERVER_EXTENSION_MISSING } from './errors';
import type { IExecutionsApi } from './executionsApi';
import { Loadable } from './loadable';
import { Snapshots } from './snapshots';
import type { IMoveRequest, ITransferRequest, IVariables } from './stateApi';
import type {
  IKernelEnd,
  ILaunch,
  ILeaseWarning,
  IRemoteKernels,
  ModelStatus
} from './tokens';
import { Volumes } from './volumes';

/** The schema of the events that tell of a change of a runtime. */
export const RUNTIME_EVENT_SCHEMA =
  'https://schema.jupyter.org/jupyter_remote_kernels/runtime/v1';

/** For how many days use is shown. */
const USAGE_DAYS = 30;

/** One change is told in several events; this long they are waited for. */
const SETTLE_MS = 100;

/**
 * The model behind the panel, the badges and the commands.
 *
 * It makes no request by itself: whoever creates it decides when to refresh.
 */
export class RemoteKernels implements IRemoteKernels, IDisposable {
  constructor(api: IRemoteKernelsApi, clock: IClock) {
    this._api = api;
    this.executions = api;
    this.clock = clock;
    this.volumes = new Volumes(api);
    this.snapshots = new Snapshots(api);
    this.usage = new Loadable(() => api.getUsage(USAGE_DAYS));
  }

  readonly clock: IClock;
  readonly executions: IExecutionsApi;
  readonly volumes: Volumes;
  readonly snapshots: Snapshots;
  readonly usage: Loadable<IUsageReport>;

  get runtimes(): ReadonlyArray<IRuntime> {
    return this._sortedRuntimes;
  }

  get environments(): ReadonlyArray<IEnvironment> {
    return this._environments;
  }

  get environmentProblems(): ReadonlyArray<IEnvironmentProblem> {
    return this._environmentProblems;
  }

  get status(): ModelStatus {
    return this._status;
  }

  get error(): RemoteKernelsError | null {
    return this._error;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get kernelEnded(): ISignal<this, IKernelEnd> {
    return this._kernelEnded;
  }

  get leaseWarned(): ISignal<this, ILeaseWarning> {
    return this._leaseWarned;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    for (const timer of this._timers.values()) {
      clearTimeout(timer);
    }
    this._timers.clear();
    this.volumes.dispose();
    this.snapshots.dispose();
    this.usage.dispose();
    Signal.clearData(this);
  }

  find(id: string): IRuntime | undefined {
    return this._runtimes.get(id);
  }

  findEnvironment(name: string): IEnvironment | undefined {
    return this._environments.find(environment => environment.name === name);
  }

  lastExit(id: string): IExit | null {
    return this._runtimes.get(id)?.exit ?? this._exits.get(id) ?? null;
  }

  forgetExit(id: string): void {
    if (this._exits.delete(id)) {
      this._emitChanged();
    }
  }

  async refresh(): Promise<void> {
    const generation = ++this._generation;
    try {
      const [runtimes, environments] = await Promise.all([
        this._api.listRuntimes(),
        this._api.listEnvironments()
      ]);
      // A newer refresh may have answered before this one.
      if (generation !== this._generation) {
        return;
      }
      this._replaceAll(runtimes);
      this._takeEnvironments(environments);
      this._status = 'ready';
      this._error = null;
    } catch (error) {
      if (generation !== this._generation) {
        return;
      }
      this._error = RemoteKernelsError.from(error);
      const missing = this._error.reason === SERVER_EXTENSION_MISSING;
      this._status = missing ? 'missing' : 'error';
    }
    this._emitChanged();
  }

  /** Read the environments again. Never rejects: the next refresh tells of an error. */
  async refreshEnvironments(): Promise<void> {
    try {
      this._takeEnvironments(await this._api.listEnvironments());
    } catch {
      return;
    }
    this._emitChanged();
  }

  /** Take over a warning of the server's about the end of a reservation. */
  warnOfLease(warning: ILeaseWarning): void {
    this._leaseWarned.emit(warning);
  }

  async refreshRuntime(id: string): Promise<IRuntime | undefined> {
    try {
      const runtime = await this._api.getRuntime(id);
      this._put(runtime);
    } catch (error) {
      // Gone is an answer; anything else leaves what we know, and the next refresh tells more.
      if (RemoteKernelsError.from(error).status === 404) {
        this._remove(id);
      }
    }
    this._emitChanged();
    return this._runtimes.get(id);
  }

  invalidate(id: string): void {
    if (this._isDisposed) {
      return;
    }
    // Not started anew by every event: a busy runtime must not put its refresh off for ever.
    if (!this._timers.has(id)) {
      const timer = setTimeout(() => {
        this._timers.delete(id);
        void this.refreshRuntime(id);
      }, SETTLE_MS);
      this._timers.set(id, timer);
    }
  }

  /** Tell that something has changed which whoever waits for it has to ask about. */
  announce(): void {
    this._emitChanged();
  }

  observe(id: string, state: ExecutionState): void {
    const runtime = this._runtimes.get(id);
    if (!runtime || runtime.execution_state === state) {
      return;
    }
    this._runtimes.set(id, { ...runtime, execution_state: state });
    this._emitChanged();
    // What it used, and how often it ran, has changed as well when it comes to rest.
    if (state === 'idle') {
      this.invalidate(id);
    }
  }

  async launch(request: ILaunchRequest): Promise<ILaunch> {
    const launched = await this._api.launch(request);
    const { id, operation } = launched;
    await this.refreshRuntime(id);
    const cancel = async (): Promise<void> => {
      if (operation) {
        await this._api.cancelOperation(operation);
      }
      await this.refreshRuntime(id);
    };
    return { runtimeId: id, notebook: launched.notebook ?? null, cancel };
  }

  async interrupt(id: string): Promise<void> {
    await this._api.interrupt(id);
    this.invalidate(id);
  }

  async restart(id: string): Promise<void> {
    this._exits.delete(id);
    await this._api.restart(id);
    this.invalidate(id);
  }

  async pause(id: string): Promise<IOperation> {
    const operation = await this._api.pause(id);
    this.invalidate(id);
    return operation;
  }

  async resume(id: string): Promise<IOperation> {
    const operation = await this._api.resume(id);
    this.invalidate(id);
    return operation;
  }

  async move(id: string, request: IMoveRequest): Promise<IOperation> {
    const operation = await this._api.move(id, request);
    this.invalidate(id);
    return operation;
  }

  transfer(request: ITransferRequest): Promise<IOperation> {
    return this._api.transfer(request);
  }

  getOperation(id: string): Promise<IOperation> {
    return this._api.getOperation(id);
  }

  cancelOperation(id: string): Promise<IOperation> {
    return this._api.cancelOperation(id);
  }

  listVariables(id: string, signal?: AbortSignal): Promise<IVariables> {
    const kernel = this._runtimes.has(id) ? 'runtimes' : 'kernels';
    return this._api.listVariables(kernel, id, signal);
  }

  async rename(id: string, name: string): Promise<void> {
    this._put(await this._api.updateRuntime(id, { name }));
    this._emitChanged();
  }

  async terminate(id: string): Promise<void> {
    await this._api.terminate(id);
    await this.refreshRuntime(id);
  }

  async setLease(id: string, changes: ILeaseChanges): Promise<void> {
    this._put(await this._api.updateRuntime(id, changes));
    this._emitChanged();
  }

  estimate(environment: string, lease_s?: number | null): Promise<IEstimate> {
    return this._api.estimate(environment, lease_s);
  }

  async saveEnvironment(name: string, settings: object): Promise<void> {
    await this._api.saveEnvironment(name, settings);
    await this.refreshEnvironments();
  }

  async deleteEnvironment(name: string): Promise<void> {
    await this._api.deleteEnvironment(name);
    await this.refreshEnvironments();
  }

  getLogs(id: string, offset: number, limit: number): Promise<ILogPage> {
    return this._api.getLogs(id, offset, limit);
  }

  private _takeEnvironments(list: IEnvironmentList): void {
    this._environments = [...list.environments].sort((a, b) =>
      a.display_name.localeCompare(b.display_name)
    );
    this._environmentProblems = list.problems;
  }

  private _replaceAll(runtimes: IRuntime[]): void {
    const known = new Set(runtimes.map(runtime => runtime.id));
    for (const id of [...this._runtimes.keys()]) {
      if (!known.has(id)) {
        this._remove(id);
      }
    }
    for (const runtime of runtimes) {
      this._put(runtime);
    }
  }

  private _remove(id: string): void {
    this._runtimes.delete(id);
    this._exits.delete(id);
  }

  private _put(runtime: IRuntime): void {
    const before = this._runtimes.get(runtime.id);
    this._runtimes.set(runtime.id, runtime);
    if (runtime.exit) {
      this._exits.set(runtime.id, runtime.exit);
    }
    // The first sight of a runtime is no news: it may have ended long ago.
    if (before && runtime.exit && !sameExit(before, runtime)) {
      this._kernelEnded.emit({ runtime, exit: runtime.exit });
    }
  }

  private _emitChanged(): void {
    if (this._isDisposed) {
      return;
    }
    this._sortedRuntimes = [...this._runtimes.values()].sort((a, b) =>
      b.created_at.localeCompare(a.created_at)
    );
    this._changed.emit();
  }

  private readonly _api: IRemoteKernelsApi;
  private readonly _runtimes = new Map<string, IRuntime>();
  private readonly _exits = new Map<string, IExit>();
  private readonly _timers = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _kernelEnded = new Signal<this, IKernelEnd>(this);
  private readonly _leaseWarned = new Signal<this, ILeaseWarning>(this);
  private _sortedRuntimes: ReadonlyArray<IRuntime> = [];
  private _environments: ReadonlyArray<IEnvironment> = [];
  private _environmentProblems: ReadonlyArray<IEnvironmentProblem> = [];
  private _status: ModelStatus = 'loading';
  private _error: RemoteKernelsError | null = null;
  private _generation = 0;
  private _isDisposed = false;
}

function sameExit(before: IRuntime, after: IRuntime): boolean {
  return JSON.stringify(before.exit) === JSON.stringify(after.exit);
}
