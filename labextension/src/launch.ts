import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRuntime } from './api';
import { RemoteKernelsError } from './errors';
import { asSentences, describeState, isComing } from './format';
import { LiveNotification } from './liveNotification';
import type { ILaunch, IRemoteKernels } from './tokens';

/** How long the news of a runtime that is ready stays. */
const READY_MS = 5000;

/** What a launch needs from around it. */
export interface ILaunchContext {
  readonly remoteKernels: IRemoteKernels;
  readonly trans: TranslationBundle;
  /** What the user can do with a runtime that is ready. */
  openNotebook(runtimeId: string): void;
  showLogs(runtimeId: string): void;
}

/** Follow a launch with a notification until its kernel is idle; it offers to cancel. */
export function followLaunch(
  context: ILaunchContext,
  launch: ILaunch,
  title: string
): void {
  new LaunchProgress(context, launch, title);
}

/** Follows one launch to its end, and then lets go of the model. */
class LaunchProgress {
  constructor(context: ILaunchContext, launch: ILaunch, title: string) {
    this._context = context;
    this._launch = launch;
    this._title = title;
    context.remoteKernels.changed.connect(this._update, this);
    this._update();
  }

  private _update(): void {
    const { remoteKernels, trans } = this._context;
    const runtime = remoteKernels.find(this._launch.runtimeId);
    if (!runtime) {
      this._finish('info', trans.__('%1 was cancelled', this._title), READY_MS);
    } else if (runtime.phase === 'failed' || runtime.exit) {
      this._fail(runtime);
    } else if (
      runtime.phase === 'stopping' ||
      runtime.phase === 'stopped' ||
      runtime.target !== 'running'
    ) {
      this._finish('info', trans.__('%1 was cancelled', this._title), READY_MS);
    } else if (isComing(runtime)) {
      this._showStep(runtime);
    } else {
      this._finish('success', trans.__('%1 is ready', this._title), READY_MS, [
        {
          label: trans.__('Open Notebook'),
          callback: () => this._context.openNotebook(runtime.id)
        }
      ]);
    }
  }

  private _showStep(runtime: IRuntime): void {
    const { trans } = this._context;
    const state = describeState(runtime, trans);
    const text = [state.label, state.detail].filter(part => !!part).join(': ');
    const message = trans.__('Launching %1 · %2', this._title, text);
    // An update that changes nothing would still move the notification to the front.
    if (message === this._message) {
      return;
    }
    this._message = message;
    const actions = [
      { label: trans.__('Cancel'), callback: () => this._cancel() }
    ];
    this._notification.say(
      { type: 'in-progress', message, autoClose: false, actions },
      false
    );
  }

  private _fail(runtime: IRuntime): void {
    const { trans } = this._context;
    const cause = asSentences(runtime.exit?.message, runtime.exit?.hint);
    this._finish(
      'error',
      cause
        ? trans.__('Launching %1 failed: %2', this._title, cause)
        : trans.__('Launching %1 failed', this._title),
      false,
      [
        {
          label: trans.__('Show Log'),
          callback: () => this._context.showLogs(runtime.id)
        }
      ]
    );
  }

  private _finish(
    type: Notification.TypeOptions,
    message: string,
    autoClose: number | false,
    actions: Notification.IAction[] = []
  ): void {
    this._context.remoteKernels.changed.disconnect(this._update, this);
    // Somebody may have closed it, or pressed its button; the outcome is news anyway.
    this._notification.say({ type, message, autoClose, actions }, true);
  }

  private _cancel(): void {
    const { trans } = this._context;
    this._launch.cancel().catch((error: unknown) => {
      Notification.error(
        explain(trans.__('Cancelling %1 failed', this._title), error),
        { autoClose: false }
      );
    });
  }

  private readonly _context: ILaunchContext;
  private readonly _launch: ILaunch;
  private readonly _title: string;
  private readonly _notification = new LiveNotification();
  private _message = '';
}

/** An error in one line: what failed, why, and what to do. */
export function explain(what: string, error: unknown): string {
  const { message, hint } = RemoteKernelsError.from(error);
  return asSentences(`${what}: ${message}`, hint);
}
