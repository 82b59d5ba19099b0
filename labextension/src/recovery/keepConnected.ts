import type { ISessionContext } from '@jupyterlab/apputils';

import type { IRemoteKernels } from '../tokens';
import { isOurs } from './notebookRecovery';

/** How often to look whether the machine has slept. */
const LOOK_MS = 10_000;

/** A page in the background may be let wait for a minute; what waits longer has slept. */
const SLEPT_MS = 90_000;

/**
 * Connects notebooks again whose connection was lost for good, or without notice.
 *
 * JupyterLab gives up after a few tries. After a machine has slept, or has changed its network, a
 * connection can look alive for hours and be dead.
 */
export class KeepConnected {
  constructor(remoteKernels: IRemoteKernels) {
    this._remoteKernels = remoteKernels;
    window.addEventListener('online', () => this._renew(true));
    document.addEventListener('visibilitychange', () => this._look());
    setInterval(() => this._look(), LOOK_MS);
    // Whenever the server has answered, there is a network again.
    remoteKernels.changed.connect(() => {
      if (remoteKernels.status === 'ready') {
        this._renew(false);
      }
    });
  }

  /** Care for a notebook's connection. */
  add(context: ISessionContext): void {
    this._contexts.add(context);
    context.disposed.connect(() => this._contexts.delete(context));
  }

  private _look(): void {
    const now = Date.now();
    const hasSlept = now - this._lookedAt > SLEPT_MS;
    this._lookedAt = now;
    this._renew(hasSlept);
  }

  /** Connect again what is not connected; on suspicion also what seems to be. */
  private _renew(isSuspicious: boolean): void {
    for (const context of this._contexts) {
      const kernel = context.session?.kernel;
      if (!kernel || !isOurs(kernel, this._remoteKernels)) {
        continue;
      }
      const isLost = kernel.connectionStatus === 'disconnected';
      const seemsAlive = kernel.connectionStatus === 'connected';
      if (isLost || (isSuspicious && seemsAlive)) {
        // Its failure is seen in the connection's status, and the next occasion comes.
        kernel.reconnect().catch(() => undefined);
      }
    }
  }

  private readonly _remoteKernels: IRemoteKernels;
  private readonly _contexts = new Set<ISessionContext>();
  private _lookedAt = Date.now();
}
