/**
 * The shapes of what is said about the state of kernels: snapshots, transfers, moves.
 */
import type { IOperation } from './api';

/** Whether a variable would be there again after a pause. */
export type Carriage = 'carried' | 'carried_without_links' | 'refused';

/** What becomes of a variable whose name the target has already. */
export type Conflict = 'refuse' | 'replace' | 'keep' | 'rename';

/** The cell that last made a variable. */
export interface IMakingCell {
  readonly number: number | null;
  readonly source: string;
}

/** What becomes of a variable on its way, as it is told afterwards. */
export interface IVariableFate {
  readonly name: string;
  readonly type?: string | null;
  readonly size_bytes?: number | null;
  readonly status?: Carriage | null;
  /** Why it cannot be carried. */
  readonly reason?: string | null;
  /** Where in it the reason is. */
  readonly path?: string | null;
  /** What would make it again; `null` when nobody knows. */
  readonly cell?: IMakingCell | null;
}

/** A variable of a kernel. */
export interface IVariable {
  readonly name: string;
  readonly type: string;
  readonly size_bytes: number | null;
  readonly status: Carriage;
  /** Why it cannot be carried. */
  readonly reason: string | null;
  /** Where in it the reason is. */
  readonly path: string | null;
  readonly preview?: string | null;
  /** What would make it again; `null` when nobody knows. */
  readonly cell?: IMakingCell | null;
}

/** All variables of a kernel, and how much they are together. */
export interface IVariables {
  readonly variables: ReadonlyArray<IVariable>;
  readonly total_bytes: number;
}

/** A kernel's state, saved. */
export interface ISnapshot {
  readonly id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly created_at: string;
  readonly runtime_id: string | null;
  readonly environment: string | null;
  /** Taken by a pause, and removed when no runtime needs it any more. */
  readonly automatic: boolean;
  readonly python: string | null;
  readonly total_bytes: number;
  /** What was not in the one before it. */
  readonly new_bytes: number;
  /** How many variables it holds. */
  readonly carried: number;
  readonly not_carried: ReadonlyArray<IVariableFate>;
  /** Why it cannot be opened; `null` when it can. */
  readonly problem: string | null;
}

/** A snapshot with what became of each variable. */
export interface ISnapshotDetails extends ISnapshot {
  readonly variables: ReadonlyArray<IVariable>;
}

/** How a snapshot is called; what is absent stays as it is. */
export interface ISnapshotLabel {
  readonly name?: string;
  readonly description?: string;
}

/** Which variables go from one kernel to another. */
export interface ITransferRequest {
  readonly source: string;
  readonly target: string;
  /** `null`: all that can be carried. */
  readonly variables: ReadonlyArray<string> | null;
  readonly on_conflict: Conflict;
}

/** Which variables of a snapshot go into a kernel that runs. */
export interface IRestoreRequest {
  /** Any kernel of the server. */
  readonly runtime_id: string;
  /** `null`: all. */
  readonly variables: ReadonlyArray<string> | null;
  readonly on_conflict: Conflict;
}

/** Where a runtime goes on. */
export interface IMoveRequest {
  readonly environment: string;
  /** In seconds; absent: as the environment says. */
  readonly lease_s?: number | null;
}

/** What an operation that moves state says when it has succeeded; each kind has some of it. */
export interface IStateResult {
  readonly snapshot_id?: string;
  readonly size_bytes?: number;
  /** How many variables were saved. */
  readonly carried?: number;
  readonly transferred?: ReadonlyArray<IVariableFate>;
  readonly not_carried?: ReadonlyArray<IVariableFate>;
  readonly restored?: ReadonlyArray<string>;
  readonly lost?: ReadonlyArray<IVariableFate>;
  readonly renamed?: Readonly<Record<string, string>>;
  readonly kept?: ReadonlyArray<string>;
  /** What is worth knowing about variables that have arrived, by name. */
  readonly notes?: Readonly<Record<string, string>>;
  readonly bytes?: number;
}

/** What the server can be asked about states. */
export interface IStateApi {
  pause(id: string): Promise<IOperation>;
  resume(id: string): Promise<IOperation>;
  move(id: string, request: IMoveRequest): Promise<IOperation>;
  transfer(request: ITransferRequest): Promise<IOperation>;
  /** The variables of a kernel, once it has time to list them. */
  listVariables(
    kernel: 'runtimes' | 'kernels',
    id: string,
    signal?: AbortSignal
  ): Promise<IVariables>;
  takeSnapshot(id: string, label: ISnapshotLabel): Promise<IOperation>;
  listSnapshots(): Promise<ISnapshot[]>;
  getSnapshot(id: string): Promise<ISnapshotDetails>;
  labelSnapshot(id: string, label: ISnapshotLabel): Promise<ISnapshotDetails>;
  deleteSnapshot(id: string): Promise<void>;
  restoreSnapshot(id: string, request: IRestoreRequest): Promise<IOperation>;
  uploadSnapshot(
    content: Blob,
    trust: boolean,
    signal?: AbortSignal
  ): Promise<ISnapshotDetails>;
  /** From where a snapshot can be downloaded as a file. */
  snapshotUrl(id: string): string;
}
