/**
 * Durations, credits and sizes: as words, and read from what a person typed. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

export const MINUTE_S = 60;
export const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;

/** From here on a countdown shows seconds. */
const SECONDS_FROM_MS = 300_000;

/** The units in which a person gives a duration. */
export type DurationUnit = 'minutes' | 'hours';

const UNIT_S: Readonly<Record<DurationUnit, number>> = {
  minutes: MINUTE_S,
  hours: HOUR_S
};

/** Format a duration with its two largest units, for example "1 h 30 min". */
export function formatDuration(
  seconds: number,
  trans: TranslationBundle
): string {
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / DAY_S);
  const hours = Math.floor((whole % DAY_S) / HOUR_S);
  const minutes = Math.floor((whole % HOUR_S) / MINUTE_S);
  const rest = whole % MINUTE_S;
  const parts = [
    days > 0 ? trans.__('%1 d', days) : '',
    hours > 0 ? trans.__('%1 h', hours) : '',
    minutes > 0 ? trans.__('%1 min', minutes) : '',
    rest > 0 ? trans.__('%1 s', rest) : ''
  ];
  const first = parts.findIndex(part => part !== '');
  if (first === -1) {
    return trans.__('%1 s', 0);
  }
  return parts
    .slice(first, first + 2)
    .filter(part => part !== '')
    .join(' ');
}

/** Format what is left of a reservation: minutes, in the last five of them seconds too. */
export function formatCountdown(ms: number, trans: TranslationBundle): string {
  const left = Math.max(0, ms);
  if (left > SECONDS_FROM_MS) {
    const minutes = Math.floor(left / 60_000);
    return formatDuration(minutes * MINUTE_S, trans);
  }
  // Rounded up, so that zero is shown when it is over and not a second before.
  const seconds = Math.ceil(left / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** How long a countdown stays as it is; `null` when it is over. */
export function countdownTickMs(ms: number): number | null {
  if (ms <= 0) {
    return null;
  }
  return ms > SECONDS_FROM_MS ? (ms % 60_000) + 1 : ms % 1000 || 1000;
}

/** Format an amount with at most two decimals. */
export function formatNumber(value: number): string {
  return value.toLocaleString(undefined, { maximumFractionDigits: 2 });
}

/** Format an amount of credits; what is too small to be shown is said to be. */
export function formatCredits(
  credits: number,
  trans: TranslationBundle
): string {
  if (credits > 0 && credits < 0.01) {
    return trans.__('less than %1 credits', formatNumber(0.01));
  }
  return credits === 1
    ? trans.__('%1 credit', formatNumber(credits))
    : trans.__('%1 credits', formatNumber(credits));
}

/** Read a number that a person typed; `null` when it is none. A comma is a decimal point. */
export function parseNumber(text: string): number | null {
  const plain = text.trim().replace(',', '.');
  return /^\d+(\.\d*)?$|^\.\d+$/.test(plain) ? Number(plain) : null;
}

/** A duration as a person gives it. */
export interface IDurationInput {
  readonly amount: string;
  readonly unit: DurationUnit;
}

/** Read a duration in seconds; `null` when it is none. */
export function parseDuration(input: IDurationInput): number | null {
  const amount = parseNumber(input.amount);
  return amount === null ? null : Math.round(amount * UNIT_S[input.unit]);
}

/** A duration in the unit in which it is a round number. */
export function toDurationInput(seconds: number): IDurationInput {
  const unit: DurationUnit =
    seconds >= HOUR_S && seconds % (HOUR_S / 2) === 0 ? 'hours' : 'minutes';
  return { amount: String(Number((seconds / UNIT_S[unit]).toFixed(2))), unit };
}

const SIZE = /^(\d+(?:[.,]\d+)?|[.,]\d+)\s*([a-z]*)$/i;
const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40
};

/** Read an amount of memory such as "512 MiB" in bytes; a bare number is in GiB. */
export function parseMemory(text: string): number | null {
  const found = SIZE.exec(text.trim());
  if (!found) {
    return null;
  }
  const unit = found[2].toLowerCase() || 'gib';
  const factor = UNITS[unit] ?? UNITS[`${unit}b`];
  return factor === undefined
    ? null
    : Math.round(Number(found[1].replace(',', '.')) * factor);
}

/** Write an amount of memory so that it is read back as the same number of bytes. */
export function writeMemory(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB', 'TB', 'GB', 'MB', 'KB']) {
    const amount = bytes / UNITS[unit.toLowerCase()];
    if (amount >= 1 && Number(amount.toFixed(2)) === amount) {
      return `${amount} ${unit}`;
    }
  }
  return `${bytes} B`;
}
