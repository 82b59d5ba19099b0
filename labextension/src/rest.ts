/**
 * The only module that talks to `/api/remote-kernels`.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  IEnvironment,
  IEnvironmentList,
  IEstimate,
  IFinalStatistics,
  ILaunchedRuntime,
  ILaunchRequest,
  ILogPage,
  IOperation,
  IProblem,
  IRemoteKernelsApi,
  IRuntime,
  IUsageReport,
  IVolume
} from './api';
import type { ServerClock } from './clock';
import {
  RemoteKernelsError,
  SERVER_EXTENSION_MISSING,
  SERVER_UNREACHABLE
} from './errors';

const BASE = 'api/remote-kernels';

type Request = <T>(
  method: string,
  parts: string[],
  body?: object,
  query?: Record<string, string>
) => Promise<T>;

/**
 * Create the client for a server.
 *
 * @param settings - where the server is and how to authenticate
 * @param clock - learns the server's time from every answer
 */
export function createApi(
  settings: ServerConnection.ISettings,
  clock: ServerClock
): IRemoteKernelsApi {
  const request: Request = (method, parts, body, query) =>
    requestJson({ settings, clock }, method, parts, body, query);
  return { ...runtimeRoutes(request), ...environmentRoutes(request) };
}

type RuntimeRoutes = Omit<IRemoteKernelsApi, keyof EnvironmentRoutes>;

function runtimeRoutes(request: Request): RuntimeRoutes {
  return {
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

type EnvironmentRoutes = Pick<
  IRemoteKernelsApi,
  | 'listEnvironments'
  | 'saveEnvironment'
  | 'deleteEnvironment'
  | 'estimate'
  | 'getUsage'
  | 'listVolumes'
  | 'createVolume'
  | 'deleteVolume'
>;

function environmentRoutes(request: Request): EnvironmentRoutes {
  return {
    listEnvironments: () => request<IEnvironmentList>('GET', ['environments']),
    saveEnvironment: (name, environment) =>
      request<IEnvironment>('PUT', ['environments', name], environment),
    deleteEnvironment: name => request<void>('DELETE', ['environments', name]),
    estimate: (environment, lease_s) =>
      request<IEstimate>('POST', ['estimates'], { environment, lease_s }),
    getUsage: days =>
      request<IUsageReport>('GET', ['usage'], undefined, {
        days: String(days)
      }),
    listVolumes: async () =>
      (await request<{ volumes: IVolume[] }>('GET', ['volumes'])).volumes,
    createVolume: name => request<IVolume>('POST', ['volumes'], { name }),
    deleteVolume: name => request<void>('DELETE', ['volumes', name])
  };
}

async function requestJson<T>(
  server: { settings: ServerConnection.ISettings; clock: ServerClock },
  method: string,
  parts: string[],
  body?: object,
  query: Record<string, string> = {}
): Promise<T> {
  const { settings, clock } = server;
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
  const sentAt = Date.now();
  try {
    response = await ServerConnection.makeRequest(url, init, settings);
  } catch (error) {
    throw new RemoteKernelsError({
      reason: SERVER_UNREACHABLE,
      title: 'The Jupyter server did not answer',
      detail: error instanceof Error ? error.message : String(error)
    });
  }
  clock.observe(response.headers.get('Date'), sentAt, Date.now());
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
