/**
 * The environment editor without its looks: from an environment to what is filled in, and from
 * there to what is written. Fields have the names of the keys in the file. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import {
  parseDuration,
  parseMemory,
  parseNumber,
  toDurationInput,
  writeMemory,
  type IDurationInput
} from './amounts';
import type { IEnvironment, IResources, LeasePolicy } from './api';
import { RemoteKernelsError } from './errors';
import type { Problems } from './form';
import { asSentences } from './format';

/** What a person fills in, as it was typed. */
export interface IEnvironmentValues {
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly provider: string;
  readonly language: string;
  readonly argv: string;
  readonly options: string;
  readonly env: string;
  readonly env_allowed: string;
  readonly credits_per_hour: string;
  readonly paused_credits_per_hour: string;
  readonly default_lease_s: IDurationInput;
  readonly max_lease_s: IDurationInput;
  readonly idle_pause_s: IDurationInput;
  readonly lease_policy: LeasePolicy;
  readonly silence_policy: string;
  readonly example_notebook: string;
  readonly warm: string;
  readonly fork: boolean;
  readonly 'volume.path': string;
  readonly 'volume.default': boolean;
  readonly 'resources.cpu': string;
  readonly 'resources.memory': string;
  readonly 'resources.gpu': string;
  readonly 'max_resources.cpu': string;
  readonly 'max_resources.memory': string;
  readonly 'max_resources.gpu': string;
}

type Field = keyof IEnvironmentValues;

/** The fields that hold a time. */
export type DurationName = 'default_lease_s' | 'max_lease_s' | 'idle_pause_s';

const NO_DURATION: IDurationInput = { amount: '', unit: 'hours' };

/** An environment of which nothing is known yet. */
export const EMPTY_ENVIRONMENT: IEnvironmentValues = {
  name: '',
  display_name: '',
  description: '',
  provider: 'local',
  language: 'python',
  argv: '',
  options: '',
  env: '',
  env_allowed: '*',
  credits_per_hour: '0',
  paused_credits_per_hour: '0',
  default_lease_s: NO_DURATION,
  max_lease_s: NO_DURATION,
  idle_pause_s: NO_DURATION,
  lease_policy: 'terminate',
  silence_policy: 'terminate',
  example_notebook: '',
  warm: '0',
  fork: true,
  'volume.path': '~/persistent',
  'volume.default': false,
  'resources.cpu': '',
  'resources.memory': '',
  'resources.gpu': '',
  'max_resources.cpu': '',
  'max_resources.memory': '',
  'max_resources.gpu': ''
};

const FIELDS = new Set<string>(Object.keys(EMPTY_ENVIRONMENT));

/** What an environment looks like in the editor. */
export function toEnvironmentValues(
  environment: IEnvironment
): IEnvironmentValues {
  const duration = (seconds: number | null): IDurationInput =>
    seconds === null ? NO_DURATION : toDurationInput(seconds);
  return {
    name: environment.name,
    display_name: environment.display_name,
    description: environment.description,
    provider: environment.provider,
    language: environment.language,
    argv: environment.argv.join('\n'),
    options: writeOptions(environment.options),
    env: Object.entries(environment.env)
      .map(([key, value]) => `${key}=${value}`)
      .join('\n'),
    env_allowed: environment.env_allowed.join(' '),
    credits_per_hour: String(environment.credits_per_hour),
    paused_credits_per_hour: String(environment.paused_credits_per_hour),
    default_lease_s: duration(environment.default_lease_s),
    max_lease_s: duration(environment.max_lease_s),
    idle_pause_s: duration(environment.idle_pause_s),
    lease_policy: environment.lease_policy,
    silence_policy: environment.silence_policy,
    example_notebook: environment.example_notebook ?? '',
    warm: String(environment.warm),
    fork: environment.fork,
    'volume.path': environment.volume.path,
    'volume.default': environment.volume.default,
    ...resourceValues('resources', environment.resources),
    ...resourceValues('max_resources', environment.max_resources)
  };
}

type ResourceGroup = 'resources' | 'max_resources';
type ResourceField = `${ResourceGroup}.${'cpu' | 'memory' | 'gpu'}`;

function resourceValues(
  group: ResourceGroup,
  { cpu, memory_bytes, gpu }: IResources
): Pick<IEnvironmentValues, ResourceField> {
  const values: Partial<Record<ResourceField, string>> = {
    [`${group}.cpu`]: cpu === null ? '' : String(cpu),
    [`${group}.memory`]: memory_bytes === null ? '' : writeMemory(memory_bytes),
    [`${group}.gpu`]: gpu === null ? '' : String(gpu)
  };
  return values as Pick<IEnvironmentValues, ResourceField>;
}

/** A name for a copy that no other environment has. */
export function copyName(name: string, taken: ReadonlySet<string>): string {
  const stem = name.slice(0, 58).replace(/[._-]+$/, '');
  let copy = `${stem}-copy`;
  for (let number = 2; taken.has(copy); number += 1) {
    copy = `${stem}-copy${number}`;
  }
  return copy;
}

/** What is written for what is filled in, or what is wrong with it. */
export function toEnvironmentSettings(
  values: IEnvironmentValues,
  trans: TranslationBundle
): { settings: Record<string, unknown>; problems: Problems } {
  const reader = new Reader(values, trans);
  const settings = {
    display_name: values.display_name.trim() || values.name,
    ...reader.texts(['description', 'example_notebook']),
    ...reader.texts(['provider', 'language', 'lease_policy', 'silence_policy']),
    ...reader.numbers(['credits_per_hour', 'paused_credits_per_hour', 'warm']),
    ...reader.durations(['default_lease_s', 'max_lease_s', 'idle_pause_s']),
    argv: lines(values.argv),
    options: reader.options(),
    env: reader.env(),
    env_allowed: values.env_allowed.split(/[\s,]+/).filter(text => !!text),
    fork: values.fork,
    volume: {
      ...(values['volume.path'].trim()
        ? { path: values['volume.path'].trim() }
        : {}),
      default: values['volume.default']
    },
    resources: reader.resources('resources'),
    max_resources: reader.resources('max_resources')
  };
  reader.checkName();
  return { settings, problems: reader.problems };
}

/** Reads fields, and notes which of them cannot be read. */
class Reader {
  constructor(values: IEnvironmentValues, trans: TranslationBundle) {
    this._values = values;
    this._trans = trans;
  }

  readonly problems: Record<string, string> = {};

  /** The server checks the rest; without a name it cannot even be asked. */
  checkName(): void {
    if (!this._values.name.trim()) {
      this.problems.name = this._trans.__('Write a name.');
    }
  }

  texts(keys: ReadonlyArray<Field>): Record<string, string> {
    const found = keys
      .map(key => [key, String(this._values[key]).trim()])
      .filter(([, text]) => !!text);
    return Object.fromEntries(found) as Record<string, string>;
  }

  numbers(keys: ReadonlyArray<Field>): Record<string, number> {
    const found: Record<string, number> = {};
    for (const key of keys) {
      const number = this._number(key);
      if (number !== undefined) {
        found[key] = number;
      }
    }
    return found;
  }

  durations(keys: ReadonlyArray<DurationName>): Record<string, number> {
    const found: Record<string, number> = {};
    for (const key of keys) {
      const seconds = parseDuration(this._values[key]);
      if (seconds !== null) {
        found[key] = seconds;
      } else if (this._values[key].amount.trim()) {
        this.problems[key] = this._trans.__('Write a number, or nothing.');
      }
    }
    return found;
  }

  resources(group: ResourceGroup): Record<string, number> {
    const found: Record<string, number> = {};
    for (const key of ['cpu', 'gpu'] as const) {
      const number = this._number(`${group}.${key}`);
      if (number !== undefined) {
        found[key] = number;
      }
    }
    const text = this._values[`${group}.memory`].trim();
    const bytes = parseMemory(text);
    if (bytes !== null) {
      found.memory_bytes = bytes;
    } else if (text) {
      this.problems[`${group}.memory`] = this._trans.__(
        'Write a size, for example 4 GiB.'
      );
    }
    return found;
  }

  /** One option a line; a value is JSON, else text. */
  options(): Record<string, unknown> {
    const pairs = this._pairs('options', /^\s*([^=\s]+)\s*=\s*(.*)$/);
    return Object.fromEntries(
      pairs.map(([key, value]) => [key, readOption(value)])
    );
  }

  env(): Record<string, string> {
    return Object.fromEntries(this._pairs('env', /^\s*([^=\s]+)=(.*)$/));
  }

  private _pairs(key: 'options' | 'env', line: RegExp): [string, string][] {
    const found = lines(this._values[key]).map(text => line.exec(text));
    if (found.includes(null)) {
      this.problems[key] = this._trans.__('Write one NAME=value per line.');
    }
    return found.flatMap(match => (match ? [[match[1], match[2]]] : []));
  }

  private _number(key: Field): number | undefined {
    const text = String(this._values[key]).trim();
    if (!text) {
      return undefined;
    }
    const number = parseNumber(text);
    if (number === null) {
      this.problems[key] = this._trans.__('Write a number.');
    }
    return number ?? undefined;
  }

  private readonly _values: IEnvironmentValues;
  private readonly _trans: TranslationBundle;
}

function lines(text: string): string[] {
  return text.split('\n').filter(line => !!line.trim());
}

function readOption(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.trim();
  }
}

/** The reverse: text stays bare unless it would be read as something else. */
function writeOptions(options: Readonly<Record<string, unknown>>): string {
  return Object.entries(options)
    .map(([key, value]) => {
      const isPlain =
        typeof value === 'string' &&
        value === value.trim() &&
        !value.includes('\n') &&
        readOption(value) === value;
      return `${key} = ${isPlain ? value : JSON.stringify(value)}`;
    })
    .join('\n');
}

/** Say which field a refusal is about, and why. */
export function explainEnvironment(error: unknown): Problems {
  const refusal = RemoteKernelsError.from(error);
  const text = asSentences(withoutPlace(refusal), refusal.hint);
  // A key such as `options.host` has no field of its own; its table has one.
  let key = (refusal.key ?? '').replace('memory_bytes', 'memory');
  while (key && !FIELDS.has(key)) {
    key = key.includes('.') ? key.slice(0, key.lastIndexOf('.')) : '';
  }
  return { [key]: text };
}

/** The reason alone: which environment and which key it is about can be seen. */
function withoutPlace({ message, key }: RemoteKernelsError): string {
  const reason = message.replace(/^environment '[^']*': /, '');
  return key && reason.startsWith(`${key}: `)
    ? reason.slice(key.length + 2)
    : reason;
}
