import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IOperation } from './api';
import { RemoteKernelsError } from './errors';
import { asSentences } from './format';
import { explain } from './launch';
import { LiveNotification } from './liveNotification';
import { describeOutcome } from './outcome';
import { describeOperation } from './pausing';
import { showReport } from './reportDialog';
import type { IRemoteKernels } from './tokens';

/** How long the news of a good end stays. */
const GOOD_NEWS_MS = 5000;

/** What is said about an operation, before and after its end. */
export interface IOperationTexts {
  readonly running: string;
  readonly succeeded: string;
  readonly failed: string;
  readonly cancelled: string;
}

/** What an operation needs from around it. */
export interface IOperationContext {
  readonly remoteKernels: IRemoteKernels;
  readonly trans: TranslationBundle;
  readonly texts: IOperationTexts;
}

/** Start an operation and follow it; an error becomes a notification. */
export async function runOperation(
  context: Omit<IOperationContext, 'texts'>,
  texts: IOperationTexts,
  start: () => Promise<IOperation>
): Promise<void> {
  try {
    followOperation({ ...context, texts }, await start());
  } catch (error) {
    Notification.error(explain(texts.failed, error), { autoClose: false });
  }
}

/** Follow an operation with a notification until its end; it offers to cancel. */
export function followOperation(
  context: IOperationContext,
  operation: IOperation
): void {
  new OperationProgress(context, operation);
}

/** Follows one operation; it is read again when the server tells of a change of its runtime. */
class OperationProgress {
  constructor(context: IOperationContext, operation: IOperation) {
    this._context = context;
    this._id = operation.id;
    context.remoteKernels.changed.connect(this._ask, this);
    this._show(operation);
    // It may have ended before anybody listened.
    this._ask();
  }

  private _ask(): void {
    if (this._isAsking) {
      this._isAskedAgain = true;
      return;
    }
    this._isAsking = true;
    this._context.remoteKernels
      .getOperation(this._id)
      .then(
        operation => this._show(operation),
        (error: unknown) => this._fail(RemoteKernelsError.from(error))
      )
      .finally(() => {
        this._isAsking = false;
        if (this._isAskedAgain && !this._isOver) {
          this._isAskedAgain = false;
          this._ask();
        }
      });
  }

  private _show(operation: IOperation): void {
    const { texts, trans } = this._context;
    if (this._isOver) {
      return;
    }
    switch (operation.state) {
      case 'running':
        this._showProgress(describeOperation(operation, texts.running, trans));
        break;
      case 'succeeded':
        this._tellOutcome(operation);
        break;
      case 'cancelled':
        this._finish('info', texts.cancelled, GOOD_NEWS_MS);
        break;
      case 'failed': {
        const { detail, title, hint } = operation.error ?? {};
        const why = detail ?? title ?? '';
        this._finish(
          'error',
          asSentences(why ? `${texts.failed}: ${why}` : texts.failed, hint),
          false
        );
      }
    }
  }

  private _showProgress(message: string): void {
    // An update that changes nothing would still move the notification to the front.
    if (message === this._message) {
      return;
    }
    this._message = message;
    const actions = [
      {
        label: this._context.trans.__('Cancel'),
        callback: () => this._cancel()
      }
    ];
    this._notification.say(
      { type: 'in-progress', message, autoClose: false, actions },
      false
    );
  }

  private _tellOutcome(operation: IOperation): void {
    const { texts, trans } = this._context;
    const outcome = describeOutcome(operation, texts.succeeded, trans);
    const result = operation.result ?? {};
    const report = {
      label: trans.__('Show Report'),
      callback: () => void showReport(texts.succeeded, result, trans)
    };
    // What is missing must not be missed: it stays until somebody has taken note of it.
    this._finish(
      outcome.isLoss ? 'warning' : 'success',
      outcome.message,
      outcome.isLoss ? false : GOOD_NEWS_MS,
      outcome.hasReport ? [report] : []
    );
  }

  private _fail(error: RemoteKernelsError): void {
    // The server cannot be asked now: the next change asks again. Only "gone" is an answer.
    if (error.status === 404) {
      this._finish('info', this._context.texts.cancelled, GOOD_NEWS_MS);
    }
  }

  private _finish(
    type: Notification.TypeOptions,
    message: string,
    autoClose: number | false,
    actions: Notification.IAction[] = []
  ): void {
    this._isOver = true;
    this._context.remoteKernels.changed.disconnect(this._ask, this);
    this._notification.say({ type, message, autoClose, actions }, true);
  }

  private _cancel(): void {
    this._context.remoteKernels
      .cancelOperation(this._id)
      .catch(() => undefined)
      .finally(() => this._ask());
  }

  private readonly _context: IOperationContext;
  private readonly _id: string;
  private readonly _notification = new LiveNotification();
  private _message = '';
  private _isAsking = false;
  private _isAskedAgain = false;
  private _isOver = false;
}
