import type { IRemoteKernelsApi, IVolume } from './api';
import { Loadable } from './loadable';
import type { IVolumes } from './tokens';

/** See `IVolumes`. */
export class Volumes
  extends Loadable<ReadonlyArray<IVolume>>
  implements IVolumes
{
  constructor(api: IRemoteKernelsApi) {
    super(() => api.listVolumes());
    this._api = api;
  }

  async create(name: string): Promise<void> {
    await this._api.createVolume(name);
    await this.refresh();
  }

  async remove(name: string): Promise<void> {
    await this._api.deleteVolume(name);
    await this.refresh();
  }

  private readonly _api: IRemoteKernelsApi;
}
