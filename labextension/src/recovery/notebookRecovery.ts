import type { CodeCell } from '@jupyterlab/cells';
import { NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import { RemoteKernelsError } from '../errors';
import type { IExecution } from '../executionsApi';
import type { IRemoteKernels } from '../tokens';
import { addAbsent, discardAbsent } from './absent';
import { findCell, findFuture } from './cells';
import { Company } from './company';
import { listExecutions } from './list';
import { tellOfAbsent, tellOfLost } from './notices';
import { findLost } from './plan';
import { Restorer, type ICheck } from './restorer';
import { Settling } from './settling';
import { ExecutionTracker, isDone } from './tracker';

/** When the server has failed, it is asked again after this long. */
const AGAIN_MS = 3000;

/** Brings what a notebook's page has missed into its cells. */
export class NotebookRecovery implements IDisposable {
  constructor(
    panel: NotebookPanel,
    remoteKernels: IRemoteKernels,
    trans: TranslationBundle
  ) {
    this._panel = panel;
    this._remoteKernels = remoteKernels;
    this._trans = trans;
    const { executions } = remoteKernels;
    this._restorer = new Restorer(panel.content, executions, trans);
    this._settling = new Settling(panel.context, remoteKernels.executions, () =>
      this._findShown()
    );
    this._company = new Company(panel, () => void this.check());
    panel.sessionContext.kernelChanged.connect(this._onKernelChanged, this);
    this._onKernelChanged();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._panel.sessionContext.kernelChanged.disconnect(
      this._onKernelChanged,
      this
    );
    this._settling.dispose();
    this._company.dispose();
    this._leaveKernel();
  }

  /** Find out what this page has missed, and show it. */
  async check(): Promise<void> {
    const tracker = this._tracker;
    if (!tracker) {
      return;
    }
    clearTimeout(this._timer);
    const generation = ++this._generation;
    const check: ICheck = {
      tracker,
      startedAt: performance.now(),
      isCurrent: () => generation === this._generation && !this._isDisposed
    };
    await this._panel.context.ready;
    await this._hearOfOthers(tracker.kernel.id);
    const executions = await listExecutions(
      this._remoteKernels.executions,
      tracker.kernel.id,
      check.isCurrent
    );
    if (!check.isCurrent()) {
      return;
    }
    if (!executions) {
      // No runtime of this server's after all.
      tracker.stopHolding();
      return;
    }
    const isWhole = await this._restoreAll(executions, check);
    if (!check.isCurrent()) {
      return;
    }
    this._dealWithLost(executions, tracker);
    if (isWhole) {
      tracker.stopHolding();
    } else {
      this._timer = setTimeout(() => void this.check(), AGAIN_MS);
    }
  }

  /** Wait until it is known who else shows this notebook. */
  private async _hearOfOthers(runtimeId: string): Promise<void> {
    if (!this._company.isPossible) {
      return;
    }
    const runtime = await this._remoteKernels.refreshRuntime(runtimeId);
    // Who is the only one on the kernel need not wait.
    if ((runtime?.connections ?? 0) > 1) {
      await this._company.known;
    }
  }

  /** Returns whether all that could be restored was. */
  private async _restoreAll(
    executions: ReadonlyArray<IExecution>,
    check: ICheck
  ): Promise<boolean> {
    let isWhole = true;
    const absent: IExecution[] = [];
    const steps = executions.map(execution => {
      const step = this._restorer.choose(execution, check);
      // Another page shows it, or has shown it.
      return step === 'recover' && this._company.isThere ? 'leave' : step;
    });
    executions.forEach((execution, index) => {
      const cell = findCell(this._panel.content, execution.cell_id);
      if (steps[index] === 'recover' && execution.state === 'running' && cell) {
        cell.model.executionState = 'running';
      } else if (steps[index] === 'report') {
        absent.push(execution);
      }
    });
    for (const [index, execution] of executions.entries()) {
      if (!check.isCurrent()) {
        return false;
      }
      try {
        await this._restorer.restore(steps[index], execution, check);
      } catch (error) {
        if (RemoteKernelsError.from(error).status === 404) {
          // Another page has shown and saved it meanwhile.
          this._restorer.giveUp(execution);
        } else {
          isWhole = false;
        }
      }
    }
    this._reportAbsent(absent, check.tracker.kernel.id);
    return isWhole;
  }

  private _reportAbsent(
    absent: ReadonlyArray<IExecution>,
    runtimeId: string
  ): void {
    // What is in no cell of this notebook may be in one of another document.
    const documents = this._remoteKernels.find(runtimeId)?.notebooks ?? [];
    const unknown = absent.filter(({ msg_id }) => !this._reported.has(msg_id));
    if (unknown.length === 0 || documents.length > 1) {
      return;
    }
    unknown.forEach(({ msg_id }) => this._reported.add(msg_id));
    const { executions } = this._remoteKernels;
    tellOfAbsent(this._trans, unknown.length, {
      add: () =>
        void addAbsent(this._panel, executions, runtimeId, unknown).then(() =>
          this.check()
        ),
      discard: () => void discardAbsent(executions, runtimeId, unknown)
    });
  }

  private _dealWithLost(
    executions: ReadonlyArray<IExecution>,
    tracker: ExecutionTracker
  ): void {
    const lost = findLost(tracker.all(), executions);
    const cells: CodeCell[] = [];
    for (const { msgId, cellId } of lost) {
      const cell = findCell(this._panel.content, cellId);
      const future = findFuture(cell, msgId);
      if (cell && future) {
        future.dispose();
        cells.push(cell);
      }
      tracker.settle(msgId);
    }
    if (cells.length > 0) {
      tellOfLost(this._trans, cells.length, () => {
        const { content, sessionContext } = this._panel;
        const left = cells.filter(cell => !cell.isDisposed);
        void NotebookActions.runCells(content, left, sessionContext);
      });
    }
  }

  private _findShown(): { runtimeId: string; msgIds: string[] } | null {
    const tracker = this._tracker;
    if (!tracker) {
      return null;
    }
    const own = tracker
      .all()
      .filter(execution => isDone(execution) && !execution.isDoubtful)
      .map(({ msgId }) => msgId);
    return {
      runtimeId: tracker.kernel.id,
      msgIds: [...own, ...this._restorer.shown]
    };
  }

  private _onKernelChanged(): void {
    this._leaveKernel();
    const kernel = this._panel.sessionContext.session?.kernel;
    if (!kernel || !isOurs(kernel, this._remoteKernels)) {
      return;
    }
    this._tracker = new ExecutionTracker(kernel);
    kernel.connectionStatusChanged.connect(this._onConnection, this);
    kernel.statusChanged.connect(this._onStatus, this);
    if (kernel.connectionStatus === 'connected') {
      void this.check();
    }
  }

  private _leaveKernel(): void {
    clearTimeout(this._timer);
    this._generation += 1;
    const tracker = this._tracker;
    this._tracker = null;
    if (tracker) {
      tracker.kernel.connectionStatusChanged.disconnect(
        this._onConnection,
        this
      );
      tracker.kernel.statusChanged.disconnect(this._onStatus, this);
      tracker.dispose();
    }
    this._restorer.forgetAll();
  }

  private _onConnection(_: unknown, status: Kernel.ConnectionStatus): void {
    if (status === 'connected') {
      void this.check();
    }
  }

  /** With the kernel, all that ran on it is over. */
  private _onStatus(_: unknown, status: KernelMessage.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this._tracker?.forgetAll();
      this._restorer.endAll();
    }
  }

  private readonly _panel: NotebookPanel;
  private readonly _remoteKernels: IRemoteKernels;
  private readonly _trans: TranslationBundle;
  private readonly _restorer: Restorer;
  private readonly _settling: Settling;
  private readonly _company: Company;
  private readonly _reported = new Set<string>();
  private _tracker: ExecutionTracker | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _generation = 0;
  private _isDisposed = false;
}

const KERNEL_PREFIX = 'remote-';

/** Whether the server keeps what a kernel puts out. */
export function isOurs(
  kernel: Kernel.IKernelConnection,
  remoteKernels: IRemoteKernels
): boolean {
  return (
    kernel.name.startsWith(KERNEL_PREFIX) ||
    remoteKernels.find(kernel.id) !== undefined
  );
}
