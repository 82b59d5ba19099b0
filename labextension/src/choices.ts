import type { IStateDB } from '@jupyterlab/statedb';
import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';

import type { LaunchChoices } from './launchForm';

const KEY = 'jupyter-remote-kernels:launch';

/** What was chosen last, on the whole and per environment. */
export interface IRemembered {
  readonly environment: string | null;
  readonly choices: Readonly<Record<string, LaunchChoices>>;
}

const NOTHING: IRemembered = { environment: null, choices: {} };

/** Read what was chosen last. */
export async function recall(state: IStateDB | null): Promise<IRemembered> {
  const found = await state?.fetch(KEY);
  return isRemembered(found) ? found : NOTHING;
}

/** Remember what has been chosen. */
export async function remember(
  state: IStateDB | null,
  environment: string,
  choices: LaunchChoices
): Promise<void> {
  const before = await recall(state);
  await state?.save(KEY, {
    environment,
    choices: { ...before.choices, [environment]: choices }
  } as unknown as ReadonlyPartialJSONValue);
}

/** Another version of the extension may have written something else. */
function isRemembered(value: unknown): value is IRemembered {
  const { environment, choices } = (value ?? {}) as Partial<IRemembered>;
  return (
    (environment === null || typeof environment === 'string') &&
    typeof choices === 'object' &&
    choices !== null &&
    Object.values(choices).every(isChoices)
  );
}

function isChoices(value: unknown): value is LaunchChoices {
  const choices = (value ?? {}) as Partial<LaunchChoices>;
  return (
    typeof choices.hasEnd === 'boolean' &&
    typeof choices.persistent === 'boolean' &&
    typeof choices.lease?.amount === 'string' &&
    Array.isArray(choices.volumes) &&
    [
      choices.cpu,
      choices.memory,
      choices.gpu,
      choices.opening,
      choices.lease_policy
    ].every(text => typeof text === 'string')
  );
}
