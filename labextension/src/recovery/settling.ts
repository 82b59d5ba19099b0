import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { IDisposable } from '@lumino/disposable';

import type { IExecutionsApi } from '../executionsApi';

/**
 * Tells the server which outputs are in the saved notebook, so that it need not keep them.
 *
 * Only what was whole before the save began is in the file for sure.
 */
export class Settling implements IDisposable {
  /**
   * @param context - the notebook's file
   * @param api - where to tell it
   * @param findShown - the runs that the page has shown to their end, with their runtime
   */
  constructor(
    context: DocumentRegistry.Context,
    api: IExecutionsApi,
    findShown: () => { runtimeId: string; msgIds: string[] } | null
  ) {
    this._context = context;
    this._api = api;
    this._findShown = findShown;
    context.saveState.connect(this._onSave, this);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._context.saveState.disconnect(this._onSave, this);
    }
  }

  private _onSave(_: unknown, state: DocumentRegistry.SaveState): void {
    if (state === 'started') {
      this._inFile = this._findShown();
      return;
    }
    const inFile = this._inFile;
    this._inFile = null;
    if (state === 'failed' || !inFile) {
      return;
    }
    for (const msgId of inFile.msgIds) {
      if (!this._settled.has(msgId)) {
        this._settled.add(msgId);
        void this._settle(inFile.runtimeId, msgId);
      }
    }
  }

  private async _settle(runtimeId: string, msgId: string): Promise<void> {
    try {
      await this._api.settleExecution(runtimeId, msgId);
    } catch (error) {
      // Unknown to the server is as good as settled. All else is tried again with the next save.
      if ((error as { status?: number }).status !== 404) {
        this._settled.delete(msgId);
      }
    }
  }

  private readonly _context: DocumentRegistry.Context;
  private readonly _api: IExecutionsApi;
  private readonly _findShown: () => {
    runtimeId: string;
    msgIds: string[];
  } | null;
  private readonly _settled = new Set<string>();
  private _inFile: { runtimeId: string; msgIds: string[] } | null = null;
  private _isDisposed = false;
}
