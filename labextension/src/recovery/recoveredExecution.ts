import type { Kernel, KernelMessage } from '@jupyterlab/services';
import { PromiseDelegate } from '@lumino/coreutils';

import {
  codeOf,
  isIdle,
  isReply,
  mergeStreams,
  type IMessage
} from './transcript';

type Request = KernelMessage.IExecuteRequestMsg;
type Reply = KernelMessage.IExecuteReplyMsg;
type Hook = (
  msg: KernelMessage.IIOPubMessage
) => boolean | PromiseLike<boolean>;

/** What comes live is put together for this long: a page shows no more in a second anyway. */
const COLLECT_MS = 25;

/** What a recovered execution needs of a kernel's connection. */
export type IInputKernel = Pick<
  Kernel.IKernelConnection,
  'sendInputReply' | 'hasPendingInput'
>;

/**
 * A run of a cell that this page has not followed from its begin, as an output area wants it.
 *
 * JupyterLab's own future belongs to the page that sent the request; this one is fed with what the
 * server has kept, and then with what comes live.
 */
export class RecoveredExecution implements Kernel.IShellFuture<Request, Reply> {
  constructor(options: {
    kernel: IInputKernel;
    msgId: string;
    cellId: string;
    messages: ReadonlyArray<IMessage>;
  }) {
    this._kernel = options.kernel;
    this.cellId = options.cellId;
    this.msg = makeRequest(options);
    // Nobody has to wait for it.
    this._done.promise.catch(() => undefined);
  }

  readonly cellId: string;
  readonly msg: Request;

  onIOPub: (msg: KernelMessage.IIOPubMessage) => void | PromiseLike<void> =
    noOp;
  onReply: (msg: Reply) => void | PromiseLike<void> = noOp;
  onStdin: (msg: KernelMessage.IStdinMessage) => void | PromiseLike<void> =
    noOp;

  /** Called when the kernel is done, and its reply has gone to the page that asked. */
  onReplyAbsent: () => void = noOp;

  get msgId(): string {
    return this.msg.header.msg_id;
  }

  get done(): Promise<Reply> {
    return this._done.promise;
  }

  /** Whether all of it has come. */
  get isDone(): boolean {
    return this._isDone;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** How many messages it has been given. */
  get received(): number {
    return this._seen.size;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    clearTimeout(this._timer);
    this._waiting = [];
    this._hooks = [];
    this.onIOPub = this.onReply = this.onStdin = noOp;
    this.onReplyAbsent = noOp;
    if (!this._isDone) {
      // JupyterLab knows the word: it is no error of the code that was run.
      this._done.reject(new Error('Canceled: the execution is not followed'));
    }
  }

  registerMessageHook(hook: Hook): void {
    this._hooks.push(hook);
  }

  removeMessageHook(hook: Hook): void {
    this._hooks = this._hooks.filter(other => other !== hook);
  }

  sendInputReply(
    content: KernelMessage.IInputReplyMsg['content'],
    parent_header: KernelMessage.IInputReplyMsg['parent_header']
  ): void {
    this._kernel.sendInputReply(content, parent_header);
  }

  /** Take what comes live: a moment later, together with what follows at once. */
  receive(message: IMessage): void {
    this._waiting.push(message);
    this._timer = this._timer ?? setTimeout(() => this.flush(), COLLECT_MS);
  }

  /** Show what has come live until now. */
  flush(): void {
    clearTimeout(this._timer);
    this._timer = undefined;
    const waiting = this._waiting;
    this._waiting = [];
    this.feed(waiting);
  }

  /** Show messages in their order, each once. */
  feed(messages: ReadonlyArray<IMessage>): void {
    if (this._isDisposed) {
      return;
    }
    const unseen = messages.filter(({ header }) => {
      const isNew = !this._seen.has(header.msg_id);
      this._seen.add(header.msg_id);
      return isNew;
    });
    for (const message of mergeStreams(unseen)) {
      this._take(message);
    }
    if (this._reply && this._isIdle) {
      this.finish();
    } else if (this._isIdle && unseen.some(isIdle)) {
      this.onReplyAbsent();
    }
  }

  /** Nothing more comes. */
  finish(): void {
    if (this._isDone || this._isDisposed) {
      return;
    }
    this._isDone = true;
    if (this._reply) {
      this._done.resolve(this._reply);
    } else {
      this._done.reject(new Error('Canceled: the kernel gave no reply'));
    }
  }

  private _take(message: IMessage): void {
    if (message.channel === 'stdin') {
      this._kernel.hasPendingInput = true;
      void this.onStdin(message as KernelMessage.IStdinMessage);
    } else if (message.channel === 'iopub') {
      this._isIdle ||= isIdle(message);
      const msg = message as KernelMessage.IIOPubMessage;
      // A hook that has to wait cannot hold the others up here: the message is shown meanwhile.
      if (this._hooks.every(hook => hook(msg) !== false)) {
        void this.onIOPub(msg);
      }
    } else if (isReply(message)) {
      this._reply = message as Reply;
      void this.onReply(this._reply);
    }
  }

  private readonly _kernel: IInputKernel;
  private readonly _done = new PromiseDelegate<Reply>();
  private readonly _seen = new Set<string>();
  private _hooks: Hook[] = [];
  private _waiting: IMessage[] = [];
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _reply: Reply | null = null;
  private _isIdle = false;
  private _isDone = false;
  private _isDisposed = false;
}

const noOp = (): void => undefined;

/** The request as far as it is known: the server keeps answers only. */
function makeRequest(options: {
  msgId: string;
  cellId: string;
  messages: ReadonlyArray<IMessage>;
}): Request {
  const { msgId, cellId, messages } = options;
  const unknown = { date: '', session: '', username: '', version: '5.3' };
  return {
    channel: 'shell',
    header: {
      ...unknown,
      ...messages[0]?.parent_header,
      msg_id: msgId,
      msg_type: 'execute_request'
    },
    parent_header: {},
    metadata: { cellId },
    content: { code: codeOf(messages) ?? '' },
    buffers: []
  };
}
