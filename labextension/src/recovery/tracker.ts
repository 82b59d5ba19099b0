import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';

import { isIdle, isReply, parentOf, type IMessage } from './transcript';

/**
 * After a connection came, messages wait in JupyterLab until the kernel has answered, and for as
 * long as this at most: what was sent later went out at once.
 */
const PENDING_MS = 4000;

/** A run of a cell that this page asked for. */
export interface IOwnExecution {
  readonly msgId: string;
  readonly cellId: string;
  /** When it was asked for, on the page's own clock. */
  readonly sentAt: number;
  /** Whether the request went out at once, and did not wait for a connection. */
  readonly wentOut: boolean;
  /** The ids of the messages that came; only until it is done. */
  readonly seen: Set<string>;
  /** Those of them that JupyterLab has not handled yet. */
  readonly pending: Set<string>;
  /** Whether the connection was lost before it was done: something may be missing. */
  isDoubtful: boolean;
  hasReply: boolean;
  isIdle: boolean;
}

/** Whether a page has followed a run to its end. */
export function isDone(execution: IOwnExecution): boolean {
  return execution.hasReply && execution.isIdle;
}

/**
 * Keeps in mind what of the runs of cells has come to this page.
 *
 * While the connection is down, and until somebody has found out what was missed, it holds what
 * comes for runs that this page has not followed from their begin.
 */
export class ExecutionTracker implements IDisposable {
  constructor(kernel: Kernel.IKernelConnection) {
    this.kernel = kernel;
    this._connectedAt =
      kernel.connectionStatus === 'connected' ? Date.now() : 0;
    kernel.anyMessage.connect(this._onMessage, this);
    kernel.iopubMessage.connect(this._onHandled, this);
    kernel.connectionStatusChanged.connect(this._onConnection, this);
  }

  readonly kernel: Kernel.IKernelConnection;

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this.kernel.anyMessage.disconnect(this._onMessage, this);
    this.kernel.iopubMessage.disconnect(this._onHandled, this);
    this.kernel.connectionStatusChanged.disconnect(this._onConnection, this);
    this._own.clear();
    this._held?.clear();
    this._followers.clear();
  }

  /** A run that this page asked for. */
  find(msgId: string): IOwnExecution | undefined {
    return this._own.get(msgId);
  }

  /** The last run of a cell that this page asked for. */
  latest(cellId: string): IOwnExecution | undefined {
    const msgId = this._latest.get(cellId);
    return msgId === undefined ? undefined : this._own.get(msgId);
  }

  /** All runs that this page asked for. */
  all(): IOwnExecution[] {
    return [...this._own.values()];
  }

  /** The runs are over: the kernel was started anew. */
  forgetAll(): void {
    this._own.clear();
    this._latest.clear();
    this._held?.clear();
  }

  /** What came for a run since the connection was lost, or since the page was opened. */
  held(msgId: string): ReadonlyArray<IMessage> {
    return this._held?.get(msgId) ?? [];
  }

  /** From now on hand over what comes for a run; `undefined` ends that. */
  follow(msgId: string, follower?: (message: IMessage) => void): void {
    if (follower) {
      this._followers.set(msgId, follower);
    } else {
      this._followers.delete(msgId);
    }
    this._held?.delete(msgId);
    this._released.add(msgId);
  }

  /** Count what was missed as come. */
  addMissed(msgId: string, messages: ReadonlyArray<IMessage>): void {
    const execution = this._own.get(msgId);
    for (const message of messages) {
      if (execution) {
        execution.seen.add(message.header.msg_id);
        execution.hasReply ||= isReply(message);
        execution.isIdle ||= isIdle(message);
      }
    }
  }

  /** Nothing is missing in a run of this page's any more. */
  settle(msgId: string): void {
    const execution = this._own.get(msgId);
    if (execution) {
      execution.isDoubtful = false;
      forgetMessages(execution);
    }
    this._held?.delete(msgId);
    this._released.add(msgId);
  }

  /** It is known what was missed: from now on nothing has to be held. */
  stopHolding(): void {
    this._held = null;
    this._released.clear();
  }

  private _onMessage(
    _: Kernel.IKernelConnection,
    { msg, direction }: Kernel.IAnyMessageArgs
  ): void {
    if (direction === 'send') {
      this._onSent(msg);
      return;
    }
    this._isAnswered ||= msg.header.msg_type === 'kernel_info_reply';
    const parent = parentOf(msg);
    const own = this._own.get(parent);
    if (own) {
      this._onOwn(own, msg);
    }
    if (this._held && !this._released.has(parent)) {
      if (!own || own.isDoubtful) {
        this._hold(parent, msg);
      }
      return;
    }
    this._followers.get(parent)?.(msg);
  }

  private _onSent(msg: IMessage): void {
    const { cellId } = msg.metadata as { cellId?: string };
    if (msg.header.msg_type !== 'execute_request' || !cellId) {
      return;
    }
    const wentOut =
      this.kernel.connectionStatus === 'connected' &&
      (this._isAnswered || Date.now() - this._connectedAt > PENDING_MS);
    const msgId = msg.header.msg_id;
    const before = this._latest.get(cellId);
    if (before !== undefined) {
      this._own.delete(before);
    }
    this._latest.set(cellId, msgId);
    this._own.set(msgId, {
      msgId,
      cellId,
      sentAt: performance.now(),
      wentOut,
      seen: new Set(),
      pending: new Set(),
      isDoubtful: false,
      hasReply: false,
      isIdle: false
    });
  }

  private _onOwn(own: IOwnExecution, msg: IMessage): void {
    if (isDone(own) && !own.isDoubtful) {
      return;
    }
    own.seen.add(msg.header.msg_id);
    if (msg.channel === 'iopub') {
      own.pending.add(msg.header.msg_id);
    }
    own.hasReply ||= isReply(msg);
    own.isIdle ||= isIdle(msg);
    forgetMessages(own);
  }

  private _onHandled(
    _: Kernel.IKernelConnection,
    msg: KernelMessage.IIOPubMessage
  ): void {
    this._own.get(parentOf(msg))?.pending.delete(msg.header.msg_id);
  }

  private _hold(parent: string, msg: IMessage): void {
    const { msg_type } = msg.parent_header as Partial<KernelMessage.IHeader>;
    if (msg_type !== 'execute_request') {
      return;
    }
    const messages = this._held?.get(parent);
    if (messages) {
      messages.push(msg);
    } else {
      this._held?.set(parent, [msg]);
    }
  }

  private _onConnection(
    _: Kernel.IKernelConnection,
    status: Kernel.ConnectionStatus
  ): void {
    if (status === 'connected') {
      this._connectedAt = Date.now();
      return;
    }
    this._isAnswered = false;
    this._held = this._held ?? new Map<string, IMessage[]>();
    this._released.clear();
    for (const execution of this._own.values()) {
      execution.isDoubtful ||= !isDone(execution);
    }
  }

  private readonly _own = new Map<string, IOwnExecution>();
  private readonly _latest = new Map<string, string>();
  private readonly _followers = new Map<string, (message: IMessage) => void>();
  // A page that was just opened has missed something too.
  private _held: Map<string, IMessage[]> | null = new Map<string, IMessage[]>();
  private readonly _released = new Set<string>();
  private _connectedAt: number;
  private _isAnswered = false;
  private _isDisposed = false;
}

/** Of what is done and was never in doubt, the ids are not needed any more. */
function forgetMessages(execution: IOwnExecution): void {
  if (isDone(execution) && !execution.isDoubtful) {
    execution.seen.clear();
  }
}

/** How often to look whether JupyterLab has handled what came; it takes no time as a rule. */
const LOOKS = 50;
const LOOK_MS = 10;

/** Wait until JupyterLab has handled what has come: only then it is known what it shows. */
export async function handledByPage(execution: IOwnExecution): Promise<void> {
  for (let look = 0; look < LOOKS && execution.pending.size > 0; look++) {
    await new Promise(resolve => setTimeout(resolve, LOOK_MS));
  }
}
