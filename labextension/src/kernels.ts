/**
 * The kernels of this server by names that a person can tell apart: runtimes and ordinary ones.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRuntime } from './api';
import { isLive } from './format';

/** A kernel that variables can be carried from or to. */
export interface IKernelChoice {
  readonly id: string;
  readonly label: string;
  readonly isBusy: boolean;
}

/** What Jupyter knows about a kernel. */
export interface IOrdinaryKernel {
  readonly id: string;
  readonly name: string;
  readonly execution_state?: string;
}

/** Who uses a kernel. */
export interface ISessionOfKernel {
  readonly path: string;
  readonly kernel: { readonly id: string } | null;
}

/** Where kernels are found. */
export interface IKernelSources {
  /** All of ours, whatever they are doing. */
  readonly runtimes: ReadonlyArray<IRuntime>;
  readonly kernels: Iterable<IOrdinaryKernel>;
  readonly sessions: Iterable<ISessionOfKernel>;
  /** What a kernelspec is called. */
  specName(name: string): string;
}

/** The kernels that run, runtimes first. */
export function listKernels(
  sources: IKernelSources,
  trans: TranslationBundle
): IKernelChoice[] {
  const { runtimes } = sources;
  const ours = new Set(runtimes.map(({ id }) => id));
  const documents = documentsByKernel(sources.sessions);
  const found = [
    ...runtimes.filter(isLive).map(runtime => ({
      id: runtime.id,
      name: runtime.name,
      isBusy: runtime.execution_state === 'busy'
    })),
    ...[...sources.kernels]
      .filter(({ id }) => !ours.has(id))
      .map(({ id, name, execution_state }) => ({
        id,
        name: trans.__('%1, this server', sources.specName(name)),
        isBusy: execution_state === 'busy'
      }))
  ].map(({ id, name, isBusy }) => ({
    id,
    isBusy,
    label: [name, ...(documents.get(id) ?? [])].join(' · ')
  }));
  const count = new Map<string, number>();
  found.forEach(({ label }) => count.set(label, (count.get(label) ?? 0) + 1));
  // Two that nothing else tells apart.
  return found.map(kernel =>
    (count.get(kernel.label) ?? 0) > 1
      ? { ...kernel, label: `${kernel.label} · ${kernel.id.slice(0, 8)}` }
      : kernel
  );
}

function documentsByKernel(
  sessions: Iterable<ISessionOfKernel>
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { path, kernel } of sessions) {
    if (kernel) {
      const name = path.split('/').pop() ?? path;
      found.set(kernel.id, [...(found.get(kernel.id) ?? []), name]);
    }
  }
  return found;
}
