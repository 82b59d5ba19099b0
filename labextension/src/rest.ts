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
import type {
  IExecution,
  IExecutionsApi,
  ITranscriptPage
} from './executionsApi';

import type {
  ISnapshot,
  ISnapshotDetails,
  IStateApi,
  IVariables
} from './stateApi';

const BASE = 'api/remote-kernels';

type Request = <T>(
  method: string,
  parts: string[],
  body?: object,
  options?: IRequestOptions
) => Promise<T>;

interface IRequestOptions {
  readonly query?: Record<string, string>;
  readonly signal?: AbortSignal;
}

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
  const request: Request = (method, parts, body, options) =>
    requestJson({ settings, clock }, method, parts, body, options);
  return {
    ...runtimeRoutes(request),
    ...stateRoutes(request, settings.baseUrl),
    ...executionRoutes(request),
    ...environmentRoutes(request)
  };
}

type RuntimeRoutes = Omit<
  IRemoteKernelsApi,
  keyof EnvironmentRoutes | keyof IExecutionsApi | keyof IStateApi
>;

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
        query: { offset: String(offset), limit: String(limit) }
      }),
    getOperation: id => request<IOperation>('GET', ['operations', id]),
    cancelOperation: id => request<IOperation>('DELETE', ['operations', id])
  };
}

function stateRoutes(request: Request, baseUrl: string): IStateApi {
  const act = (
    id: string,
    action: string,
    body?: object
  ): Promise<IOperation> =>
    request<IOperation>('POST', ['runtimes', id, action], body);
  return {
    pause: id => act(id, 'pause'),
    resume: id => act(id, 'resume'),
    move: (id, body) => act(id, 'move', body),
    takeSnapshot: (id, label) => act(id, 'snapshots', label),
    transfer: body => request<IOperation>('POST', ['transfers'], body),
    listVariables: (kernel, id, signal) =>
      request<IVariables>('GET', [kernel, id, 'variables'], undefined, {
        signal
      }),
    listSnapshots: async () =>
      (await request<{ snapshots: ISnapshot[] }>('GET', ['snapshots']))
        .snapshots,
    getSnapshot: id => request<ISnapshotDetails>('GET', ['snapshots', id]),
    labelSnapshot: (id, label) =>
      request<ISnapshotDetails>('PATCH', ['snapshots', id], label),
    deleteSnapshot: id => request<void>('DELETE', ['snapshots', id]),
    restoreSnapshot: (id, body) =>
      request<IOperation>('POST', ['snapshots', id, 'restore'], body),
    uploadSnapshot: (content, trust, signal) =>
      request<ISnapshotDetails>('POST', ['snapshots'], content, {
        query: { trust: String(trust) },
        signal
      }),
    snapshotUrl: id => urlOf(baseUrl, ['snapshots', id, 'content'])
  };
}

function executionRoutes(request: Request): IExecutionsApi {
  const route = (id: string, msgId: string): string[] => [
    'runtimes',
    id,
    'executions',
    msgId
  ];
  return {
    listExecutions: async id =>
      (
        await request<{ executions: IExecution[] }>('GET', [
          'runtimes',
          id,
          'executions'
        ])
      ).executions,
    readTranscript: (id, msgId, offset) =>
      request<ITranscriptPage>('GET', route(id, msgId), undefined, {
        query: { offset: String(offset) }
      }),
    settleExecution: (id, msgId) => request<void>('DELETE', route(id, msgId))
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
        query: { days: String(days) }
      }),
    listVolumes: async () =>
      (await request<{ volumes: IVolume[] }>('GET', ['volumes'])).volumes,
    createVolume: name => request<IVolume>('POST', ['volumes'], { name }),
    deleteVolume: name => request<void>('DELETE', ['volumes', name])
  };
}

function urlOf(
  baseUrl: string,
  parts: string[],
  query: Record<string, string> = {}
): string {
  const path = parts.map(part => encodeURIComponent(part));
  return (
    URLExt.join(baseUrl, BASE, ...path) + URLExt.objectToQueryString(query)
  );
}

async function requestJson<T>(
  server: { settings: ServerConnection.ISettings; clock: ServerClock },
  method: string,
  parts: string[],
  body?: object,
  options: IRequestOptions = {}
): Promise<T> {
  const { settings, clock } = server;
  const { query = {}, signal } = options;
  const url = urlOf(settings.baseUrl, parts, query);
  const init: RequestInit = { method, signal };
  if (body instanceof Blob) {
    init.body = body;
    init.headers = { 'Content-Type': 'application/octet-stream' };
  } else if (body !== undefined) {
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
