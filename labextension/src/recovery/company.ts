import type { NotebookPanel } from '@jupyterlab/notebook';
import type { IDisposable } from '@lumino/disposable';

/** Who has a document open, where several pages share one. */
interface IAwareness {
  getStates(): ReadonlyMap<number, unknown>;
  on(name: 'change', callback: () => void): void;
  off(name: 'change', callback: () => void): void;
}

/** Others are heard of a moment after a document is there; on a busy machine it is a long one. */
const HEARD_MS = 5000;

/**
 * Whether others have a notebook open that pages share.
 *
 * What one of them shows, all of them have: a second one that shows it too would double it.
 */
export class Company implements IDisposable {
  /**
   * @param panel - the notebook
   * @param onAlone - called when the last of the others has gone
   */
  constructor(panel: NotebookPanel, onAlone: () => void) {
    const { model } = panel.context;
    const { awareness } = model.sharedModel as { awareness?: IAwareness };
    this._awareness = model.collaborative ? (awareness ?? null) : null;
    this._onAlone = onAlone;
    this._wasThere = this.isThere;
    this._awareness?.on('change', this._onChange);
    this.known = this._awareness
      ? new Promise(resolve => {
          this._onKnown = resolve;
          void panel.context.ready.then(() => setTimeout(resolve, HEARD_MS));
        })
      : Promise.resolve();
  }

  /** Resolved when those who are there have been heard of. */
  readonly known: Promise<void>;

  /** Whether there can be others at all. */
  get isPossible(): boolean {
    return this._awareness !== null;
  }

  get isThere(): boolean {
    return (this._awareness?.getStates().size ?? 0) > 1;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._awareness?.off('change', this._onChange);
    }
  }

  private readonly _onChange = (): void => {
    const { isThere } = this;
    if (this._wasThere && !isThere) {
      this._onAlone();
    }
    if (isThere) {
      this._onKnown();
    }
    this._wasThere = isThere;
  };

  private readonly _awareness: IAwareness | null;
  private readonly _onAlone: () => void;
  private _onKnown: () => void = () => undefined;
  private _wasThere: boolean;
  private _isDisposed = false;
}
