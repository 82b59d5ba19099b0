import { listKernels, type IKernelSources } from '../kernels';
import { makeRuntime, trans } from './runtime';

function list(changes: Partial<IKernelSources>) {
  return listKernels(
    {
      runtimes: [],
      kernels: [],
      sessions: [],
      specName: name => (name === 'python3' ? 'Python 3' : name),
      ...changes
    },
    trans
  );
}

describe('the kernels that variables go between', () => {
  it('are runtimes first, then those of this server', () => {
    const found = list({
      runtimes: [makeRuntime({ name: 'Training' })],
      kernels: [
        { id: 'k', name: 'python3', execution_state: 'busy' },
        // Jupyter lists runtimes among its kernels, too.
        { id: 'r', name: 'remote-python' }
      ],
      sessions: [{ path: 'work/plots.ipynb', kernel: { id: 'k' } }]
    });
    expect(found).toEqual([
      { id: 'r', label: 'Training', isBusy: false },
      { id: 'k', label: 'Python 3, this server · plots.ipynb', isBusy: true }
    ]);
  });

  it('have variables now', () => {
    const runtimes = [
      makeRuntime({ phase: 'paused' }),
      makeRuntime({ id: 's', phase: 'starting' })
    ];
    const kernels = [{ id: 'r', name: 'remote-python' }];
    expect(list({ runtimes, kernels })).toEqual([]);
  });

  it('can be told apart', () => {
    const kernels = [
      { id: '11111111-a', name: 'ir' },
      { id: '22222222-b', name: 'ir' }
    ];
    expect(list({ kernels }).map(({ label }) => label)).toEqual([
      'ir, this server · 11111111',
      'ir, this server · 22222222'
    ]);
  });
});
