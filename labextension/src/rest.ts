/**
 * The only module that talks to `/api/remote-kernels`.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  IEnvironment,
  IFinalStatistics,
  ILaunchedRuntime,
  ILaunchRequest,
  ILogPage,
  IOperation,
  IProblem,
  IRemoteKernelsApi,
  IRuntime
} from './api';
import {
  RemoteKernelsError,
  SERVER_EXTENSION_MISSING,
  SERVER_UNREACHABLE
} from './errors';

const BASE = 'api/remote-kernels';

/**
 * Create the client for a server.
 *
 * @param settings - where the server is and how to authenticate
 */
export function createApi(
  settings: ServerConnection.ISettings
): IRemoteKernelsApi {
  const request = async <T>(
    method: string,
    parts: string[],
    body?: object,
    query?: Record<string, string>
  ): Promise<T> => requestJson<T>(settings, method, parts, body, query);

  return {
    listEnvironments: async () =>
      (await request<{ environments: IEnvironment[] }>('GET', ['environments']))
        .environments,
    listRuntimes: async () =>
      (await request<{ runtimes: IRuntime[] }>('GET', ['runtimes'])).runtimes,
    getRuntime: id => request<IRuntime>('GET', ['runtimes', id]),
    launch: (launch: ILaunchRequest) =>
      request<ILaunchedRuntime>('POST', ['runtimes'], launch),
    updateRuntime: (id, changes) =>
      request<IRuntime>('PATCH', ['runtimes', id], changes),
    terminate: async id =>
      (
        await request<{ statistics: IFinalStatistics }>('DELETE', [
          'runtimes',
          id
        ])
      ).statistics,
    interrupt: id => request<void>('POST', ['runtimes', id, 'interrupt']),
    restart: id => request<IOperation>('POST', ['runtimes', id, 'restart']),
    getLogs: (id, offset, limit) =>
      request<ILogPage>('GET', ['runtimes', id, 'logs'], undefined, {
        offset: String(offset),
        limit: String(limit)
      }),
    getOperation: id => request<IOperation>('GET', ['operations', id]),
    cancelOperation: id => request<IOperation>('DELETE', ['operations', id])
  };
}

async function requestJson<T>(
  settings: ServerConnection.ISettings,
  method: string,
  parts: string[],
  body?: object,
  query: Record<string, string> = {}
): Promise<T> {
  const url =
    URLExt.join(
      settings.baseUrl,
      BASE,
      ...parts.map(part => encodeURIComponent(part))
    ) + URLExt.objectToQueryString(query);
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
  }

  let response: Response;
  try {
    response = await ServerConnection.makeRequest(url, init, settings);
  } catch (error) {
    throw new RemoteKernelsError({
      reason: SERVER_UNREACHABLE,
      title: 'The Jupyter server did not answer',
      detail: error instanceof Error ? error.message : String(error)
    });
  }
  if (!response.ok) {
    throw await readProblem(response);
  }
  // An action answers 204: there is nothing to read.
  if (response.status === 204) {
    return undefined as T;
  }
  return (await response.json()) as T;
}

async function readProblem(response: Response): Promise<RemoteKernelsError> {
  let problem: IProblem | null = null;
  const type = response.headers.get('Content-Type') ?? '';
  if (type.includes('json')) {
    try {
      problem = (await response.json()) as IProblem;
    } catch {
      // A broken body says no more than the status line; use that below.
      problem = null;
    }
  }
  // Only our own handlers set a reason: a 404 without one is the server's own "no such route".
  if (response.status === 404 && !problem?.reason) {
    return new RemoteKernelsError({
      status: 404,
      reason: SERVER_EXTENSION_MISSING,
      title: 'The server extension is not running'
    });
  }
  return new RemoteKernelsError({
    title: response.statusText,
    reason: 'unknown',
    ...problem,
    status: response.status
  });
}
