import type { IOperation, IRemoteKernelsApi } from './api';
import { Loadable } from './loadable';
import type {
  IRestoreRequest,
  ISnapshot,
  ISnapshotDetails,
  ISnapshotLabel
} from './stateApi';
import type { ISnapshots } from './tokens';

/** See `ISnapshots`. */
export class Snapshots
  extends Loadable<ReadonlyArray<ISnapshot>>
  implements ISnapshots
{
  constructor(api: IRemoteKernelsApi) {
    super(() => api.listSnapshots());
    this._api = api;
  }

  take(runtimeId: string, label: ISnapshotLabel): Promise<IOperation> {
    return this._api.takeSnapshot(runtimeId, label);
  }

  read(id: string): Promise<ISnapshotDetails> {
    return this._api.getSnapshot(id);
  }

  async label(id: string, label: ISnapshotLabel): Promise<void> {
    await this._api.labelSnapshot(id, label);
    await this.refresh();
  }

  async remove(id: string): Promise<void> {
    await this._api.deleteSnapshot(id);
    await this.refresh();
  }

  restore(id: string, request: IRestoreRequest): Promise<IOperation> {
    return this._api.restoreSnapshot(id, request);
  }

  async upload(
    content: Blob,
    trust: boolean,
    signal?: AbortSignal
  ): Promise<ISnapshotDetails> {
    const taken = await this._api.uploadSnapshot(content, trust, signal);
    await this.refresh();
    return taken;
  }

  urlOf(id: string): string {
    return this._api.snapshotUrl(id);
  }

  private readonly _api: IRemoteKernelsApi;
}
