import { Notification } from '@jupyterlab/apputils';

/**
 * JupyterLab draws a notification a moment after it was asked to, and an update that comes before
 * that is lost.
 */
const DRAWN_AFTER_MS = 300;

/** What a notification says. */
export interface INotice {
  readonly type: Notification.TypeOptions;
  readonly message: string;
  readonly autoClose: number | false;
  readonly actions?: Notification.IAction[];
}

/** A notification that follows something until its end. */
export class LiveNotification {
  /** Say something else. What is said last is shown, and comes back when it was closed. */
  say(notice: INotice, isNews: boolean): void {
    if (this._id === null) {
      this._emit(notice);
      return;
    }
    const wait = this._emittedAt + DRAWN_AFTER_MS - Date.now();
    clearTimeout(this._timer);
    if (wait > 0) {
      this._timer = setTimeout(() => this._update(notice, isNews), wait);
    } else {
      this._update(notice, isNews);
    }
  }

  private _emit({ message, type, autoClose, actions }: INotice): void {
    this._emittedAt = Date.now();
    this._id = Notification.emit(message, type, { autoClose, actions });
  }

  private _update(notice: INotice, isNews: boolean): void {
    const id = this._id ?? '';
    const { message, type, autoClose, actions = [] } = notice;
    const isThere = Notification.update({
      id,
      message,
      type,
      autoClose,
      actions
    });
    if (!isThere && isNews) {
      this._emit(notice);
    }
  }

  private _id: string | null = null;
  private _emittedAt = 0;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}
