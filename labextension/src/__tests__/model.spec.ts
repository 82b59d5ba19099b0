import type { IEnvironment, IExit, IRemoteKernelsApi, IRuntime } from '../api';
import { ServerClock } from '../clock';
import { RemoteKernelsError, SERVER_EXTENSION_MISSING } from '../errors';
import { RemoteKernels } from '../model';
import { makeRuntime } from './runtime';

/** A server of which a test says what it has. */
class FakeServer {
  readonly runtimes = new Map<string, IRuntime>();
  readonly asked: string[] = [];
  readonly environments: IEnvironment[] = [];
  failure: RemoteKernelsError | null = null;

  put(...runtimes: IRuntime[]): void {
    runtimes.forEach(runtime => this.runtimes.set(runtime.id, runtime));
  }

  readonly api = {
    listRuntimes: async () => {
      if (this.failure) {
        throw this.failure;
      }
      return [...this.runtimes.values()];
    },
    listEnvironments: async () => ({
      environments: this.environments,
      problems: []
    }),
    getRuntime: async (id: string) => {
      this.asked.push(id);
      const found = this.runtimes.get(id);
      if (!found) {
        throw new RemoteKernelsError({ status: 404, reason: 'unknown' });
      }
      return found;
    }
  } as unknown as IRemoteKernelsApi;
}

const EXIT: IExit = {
  reason: 'out_of_memory',
  message: 'too much',
  hint: '',
  code: null,
  signal: 9
};

describe('RemoteKernels', () => {
  let server: FakeServer;
  let model: RemoteKernels;

  beforeEach(() => {
    jest.useFakeTimers();
    server = new FakeServer();
    model = new RemoteKernels(server.api, new ServerClock());
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
  });

  it('lists the newest first', async () => {
    server.put(
      makeRuntime({ id: 'old', created_at: '2026-01-01T00:00:00Z' }),
      makeRuntime({ id: 'new', created_at: '2026-01-02T00:00:00Z' })
    );
    await model.refresh();
    expect(model.runtimes.map(({ id }) => id)).toEqual(['new', 'old']);
    expect(model.status).toBe('ready');
  });

  it('tells a server without the extension from an error, and recovers', async () => {
    server.failure = new RemoteKernelsError({
      status: 404,
      reason: SERVER_EXTENSION_MISSING
    });
    await model.refresh();
    expect(model.status).toBe('missing');
    server.failure = new RemoteKernelsError({ status: 500 });
    await model.refresh();
    expect(model.status).toBe('error');
    server.failure = null;
    await model.refresh();
    expect([model.status, model.error]).toEqual(['ready', null]);
  });

  it('keeps what it knows when a refresh fails', async () => {
    server.put(makeRuntime());
    await model.refresh();
    server.failure = new RemoteKernelsError({ status: 503 });
    await model.refresh();
    expect(model.find('r')).toBeDefined();
  });

  it('asks once for many events', async () => {
    server.put(makeRuntime());
    for (let i = 0; i < 10; i += 1) {
      model.invalidate('r');
    }
    await jest.advanceTimersByTimeAsync(1000);
    expect(server.asked).toEqual(['r']);
  });

  it('forgets a runtime that is gone', async () => {
    server.put(makeRuntime());
    await model.refresh();
    server.runtimes.clear();
    expect(await model.refreshRuntime('r')).toBeUndefined();
    expect(model.runtimes).toEqual([]);
  });

  it('tells of an end once, and remembers why after the restart', async () => {
    const ends: string[] = [];
    model.kernelEnded.connect((_, { exit }) => ends.push(exit.message));
    server.put(makeRuntime());
    await model.refresh();
    server.put(makeRuntime({ exit: EXIT }));
    await model.refreshRuntime('r');
    await model.refreshRuntime('r');
    expect(ends).toEqual(['too much']);
    server.put(makeRuntime());
    await model.refreshRuntime('r');
    expect(model.lastExit('r')).toEqual(EXIT);
    model.forgetExit('r');
    expect(model.lastExit('r')).toBeNull();
  });

  it('takes an end that it meets at first sight for no news', async () => {
    const ended = jest.fn();
    model.kernelEnded.connect(ended);
    server.put(makeRuntime({ exit: EXIT }));
    await model.refresh();
    expect(ended).not.toHaveBeenCalled();
  });

  it('shows at once what a kernel says about itself', async () => {
    server.put(makeRuntime());
    await model.refresh();
    model.observe('r', 'busy');
    expect(model.find('r')?.execution_state).toBe('busy');
    model.observe('stranger', 'busy');
    expect(model.find('stranger')).toBeUndefined();
  });
});
