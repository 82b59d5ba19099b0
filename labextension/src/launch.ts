import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IEnvironment, IRuntime } from './api';
import { RemoteKernelsError } from './errors';
import { asSentences, describeState, isComing } from './format';
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

/**
 * Launch a runtime, with a notification that follows it until its kernel is idle.
 *
 * @returns the runtime's id as soon as the server has accepted it, or `null` when it refused
 */
export async function launchWithProgress(
  context: ILaunchContext,
  environment: IEnvironment,
  name?: string
): Promise<string | null> {
  const { remoteKernels, trans } = context;
  const title = name || environment.display_name;
  const id = Notification.emit(
    trans.__('Launching %1…', title),
    'in-progress',
    { autoClose: false }
  );
  let launch: ILaunch;
  try {
    launch = await remoteKernels.launch({
      environment: environment.name,
      ...(name ? { name } : {})
    });
  } catch (error) {
    Notification.update({
      id,
      type: 'error',
      message: explain(trans.__('Launching %1 failed', title), error),
      autoClose: false
    });
    return null;
  }
  new LaunchProgress(context, launch, title, id);
  return launch.runtimeId;
}

/** Follows one launch to its end, and then lets go of the model. */
class LaunchProgress {
  constructor(
    context: ILaunchContext,
    launch: ILaunch,
    title: string,
    notification: string
  ) {
    this._context = context;
    this._launch = launch;
    this._title = title;
    this._notification = notification;
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
    Notification.update({
      id: this._notification,
      type: 'in-progress',
      message,
      autoClose: false,
      actions: [{ label: trans.__('Cancel'), callback: () => this._cancel() }]
    });
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
    const options = { autoClose, actions };
    const id = this._notification;
    // It is gone when somebody closed it, or pressed its button; the outcome is news anyway.
    if (!Notification.update({ id, type, message, ...options })) {
      Notification.emit(message, type, options);
    }
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
  private readonly _notification: string;
  private _message = '';
}

/** An error in one line: what failed, why, and what to do. */
export function explain(what: string, error: unknown): string {
  const { message, hint } = RemoteKernelsError.from(error);
  return asSentences(`${what}: ${message}`, hint);
}
