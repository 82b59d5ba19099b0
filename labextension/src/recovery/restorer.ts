import type { Notebook } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IExecution, IExecutionsApi } from '../executionsApi';
import {
  findCell,
  findFuture,
  showFromBegin,
  showMissing,
  updateDisplays
} from './cells';
import { chooseStep, planRepair, type Step } from './plan';
import type { RecoveredExecution } from './recoveredExecution';
import { handledByPage, type ExecutionTracker } from './tracker';
import { readTranscript } from './transcript';

/** The reply comes over another channel than the outputs, and so a little later. */
const REPLY_WAITS_MS = [0, 100, 500, 2000, 10_000];

/** What a check is about; a newer one makes it void. */
export interface ICheck {
  readonly tracker: ExecutionTracker;
  readonly startedAt: number;
  isCurrent(): boolean;
}

/** A run that is being shown from what the server has kept. */
interface IRecovering {
  readonly future: RecoveredExecution;
  next_offset: number;
}

/** Shows runs of a notebook's cells from what the server has kept of them. */
export class Restorer {
  constructor(
    notebook: Notebook,
    api: IExecutionsApi,
    trans: TranslationBundle
  ) {
    this._notebook = notebook;
    this._api = api;
    this._trans = trans;
  }

  /** The runs that were shown to their end. */
  get shown(): ReadonlySet<string> {
    return this._shown;
  }

  /** Forget what was shown: the notebook has another kernel. */
  forgetAll(): void {
    this.endAll();
    this._shown.clear();
  }

  /** Find out what has to be done about a run. */
  choose(execution: IExecution, check: ICheck): Step {
    const { msg_id, cell_id } = execution;
    const cell = findCell(this._notebook, cell_id);
    const recovering = this._recovering.get(msg_id);
    const latest = check.tracker.latest(cell_id);
    return chooseStep({
      hasCell: !!cell,
      isShown: this._shown.has(msg_id),
      own: check.tracker.find(msg_id),
      isFollowed: !!findFuture(cell, msg_id),
      isRecovering: !!recovering && !recovering.future.isDisposed,
      isRerun:
        !!latest && latest.msgId !== msg_id && latest.sentAt >= check.startedAt
    });
  }

  /** Do what has to be done about a run. */
  async restore(
    step: Step,
    execution: IExecution,
    check: ICheck
  ): Promise<void> {
    if (step === 'repair') {
      await this._repair(execution, check);
    } else if (step === 'resume') {
      await this._resume(execution, check);
    } else if (step === 'recover') {
      await this._recover(execution, check);
    }
  }

  /** Nothing of a run is kept any more: its cell stays as it is. */
  giveUp(execution: IExecution): void {
    const cell = findCell(this._notebook, execution.cell_id);
    if (cell && !this._recovering.has(execution.msg_id)) {
      cell.model.executionState = 'idle';
    }
  }

  /** The kernel has gone, and all that ran with it. */
  endAll(): void {
    for (const { future } of [...this._recovering.values()]) {
      future.flush();
      future.finish();
    }
    this._recovering.clear();
  }

  /** Show a run that this page has not seen the begin of. */
  private async _recover(execution: IExecution, check: ICheck): Promise<void> {
    const { tracker } = check;
    const { msg_id, cell_id } = execution;
    const transcript = await readTranscript(
      this._api,
      tracker.kernel.id,
      msg_id
    );
    const cell = findCell(this._notebook, cell_id);
    if (
      !check.isCurrent() ||
      !cell ||
      this.choose(execution, check) !== 'recover'
    ) {
      return;
    }
    const { messages, next_offset } = transcript;
    const future = showFromBegin({
      cell,
      kernel: tracker.kernel,
      execution,
      messages,
      trans: this._trans
    });
    this._recovering.set(msg_id, { future, next_offset });
    updateDisplays(this._notebook, messages, cell);
    this._goOn(future, check, transcript.state);
  }

  /** Go on with a run after the connection was lost once more. */
  private async _resume(execution: IExecution, check: ICheck): Promise<void> {
    const recovering = this._recovering.get(execution.msg_id);
    if (!recovering) {
      return;
    }
    const { future } = recovering;
    const transcript = await readTranscript(
      this._api,
      check.tracker.kernel.id,
      execution.msg_id,
      recovering.next_offset
    );
    if (!check.isCurrent() || future.isDisposed) {
      return;
    }
    recovering.next_offset = transcript.next_offset;
    future.flush();
    future.feed(transcript.messages);
    this._goOn(future, check, transcript.state);
  }

  /** Let a recovered run have what has come live, and what will come. */
  private _goOn(
    future: RecoveredExecution,
    check: ICheck,
    state: IExecution['state']
  ): void {
    const { tracker } = check;
    const { msgId } = future;
    future.feed(tracker.held(msgId));
    if (state === 'finished') {
      future.finish();
    }
    if (future.isDone) {
      tracker.follow(msgId);
      this._onEnd(future);
      return;
    }
    tracker.follow(msgId, message => future.receive(message));
    future.onReplyAbsent = () => void this._fetchReply(future, check);
    const forget = (): void => {
      tracker.follow(msgId);
      this._onEnd(future);
    };
    future.done.then(forget, forget);
  }

  /** The reply goes only to the page that asked; what is kept is there for all. */
  private async _fetchReply(
    future: RecoveredExecution,
    check: ICheck
  ): Promise<void> {
    const recovering = this._recovering.get(future.msgId);
    for (const wait of REPLY_WAITS_MS) {
      await new Promise(resolve => setTimeout(resolve, wait));
      if (!recovering || !check.isCurrent() || future.isDone) {
        return;
      }
      try {
        const transcript = await readTranscript(
          this._api,
          check.tracker.kernel.id,
          future.msgId,
          recovering.next_offset
        );
        recovering.next_offset = transcript.next_offset;
        future.feed(transcript.messages);
        if (transcript.state === 'finished') {
          future.finish();
        }
      } catch {
        // Another page has saved it already: there is nothing more to come.
        future.finish();
      }
    }
  }

  private _onEnd(future: RecoveredExecution): void {
    this._recovering.delete(future.msgId);
    if (future.isDone) {
      this._shown.add(future.msgId);
    }
  }

  /** Show what is missing of a run that this page has seen the begin of. */
  private async _repair(execution: IExecution, check: ICheck): Promise<void> {
    const { tracker } = check;
    const { msg_id } = execution;
    const own = tracker.find(msg_id);
    const transcript = await readTranscript(
      this._api,
      tracker.kernel.id,
      msg_id
    );
    if (!own || !check.isCurrent()) {
      return;
    }
    await handledByPage(own);
    if (!check.isCurrent()) {
      return;
    }
    const cell = findCell(this._notebook, execution.cell_id);
    const future = findFuture(cell, msg_id);
    const all = [...transcript.messages, ...tracker.held(msg_id)];
    const repair = planRepair(all, own);
    if (repair && cell && future) {
      tracker.addMissed(msg_id, [...repair.outputs, ...repair.others]);
      tracker.settle(msg_id);
      await showMissing(cell, future, repair);
    } else {
      tracker.settle(msg_id);
    }
  }

  private readonly _notebook: Notebook;
  private readonly _api: IExecutionsApi;
  private readonly _trans: TranslationBundle;
  private readonly _recovering = new Map<string, IRecovering>();
  private readonly _shown = new Set<string>();
}
