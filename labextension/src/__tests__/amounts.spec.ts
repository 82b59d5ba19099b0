import {
  countdownTickMs,
  formatCountdown,
  formatCredits,
  formatDuration,
  parseDuration,
  parseMemory,
  parseNumber,
  toDurationInput,
  writeMemory
} from '../amounts';
import { trans } from './runtime';

describe('formatDuration', () => {
  it.each([
    [0, '0 s'],
    [59.6, '1 min'],
    [90, '1 min 30 s'],
    [7200, '2 h'],
    [5400, '1 h 30 min'],
    [3601, '1 h'],
    [90_000, '1 d 1 h']
  ])('formats %d as %s', (seconds, text) => {
    expect(formatDuration(seconds, trans)).toBe(text);
  });
});

describe('countdown', () => {
  it.each([
    [3_600_000, '1 h'],
    [3_599_999, '59 min'],
    [300_001, '5 min'],
    [300_000, '5:00'],
    [299_001, '5:00'],
    [299_000, '4:59'],
    [60_000, '1:00'],
    [1, '0:01'],
    [0, '0:00'],
    [-5, '0:00']
  ])('shows %d ms as %s', (left, text) => {
    expect(formatCountdown(left, trans)).toBe(text);
  });

  it('ticks once a minute, in the last five minutes once a second', () => {
    expect(countdownTickMs(3_600_000)).toBe(1);
    expect(countdownTickMs(3_599_999)).toBe(60_000);
    expect(countdownTickMs(360_000)).toBe(1);
    expect(countdownTickMs(300_000)).toBe(1000);
    expect(countdownTickMs(299_400)).toBe(400);
    expect(countdownTickMs(0)).toBeNull();
  });

  it('shows something else after each tick', () => {
    let [left, shown] = [600_000, ''];
    for (;;) {
      const text = formatCountdown(left, trans);
      expect(text).not.toBe(shown);
      shown = text;
      const wait = countdownTickMs(left);
      if (wait === null) {
        break;
      }
      left -= wait;
    }
    expect(shown).toBe('0:00');
  });
});

describe('credits', () => {
  it.each([
    [0, '0 credits'],
    [1, '1 credit'],
    [1.239, '1.24 credits'],
    [0.001, 'less than 0.01 credits']
  ])('formats %d as %s', (credits, text) => {
    expect(formatCredits(credits, trans)).toBe(text);
  });
});

describe('what a person typed', () => {
  it.each([
    ['2', 2],
    [' 1,5 ', 1.5],
    ['.5', 0.5],
    ['', null],
    ['-1', null],
    ['1e3', null],
    ['two', null]
  ])('reads the number %p as %p', (text, number) => {
    expect(parseNumber(text)).toBe(number);
  });

  it('reads durations', () => {
    expect(parseDuration({ amount: '1.5', unit: 'hours' })).toBe(5400);
    expect(parseDuration({ amount: '45', unit: 'minutes' })).toBe(2700);
    expect(parseDuration({ amount: 'x', unit: 'minutes' })).toBeNull();
  });

  it.each([60, 301, 1800, 5400, 7200, 86_400])(
    'reads back %d seconds',
    seconds => {
      const input = toDurationInput(seconds);
      expect(Math.abs((parseDuration(input) ?? 0) - seconds)).toBeLessThan(1);
    }
  );

  it.each([
    ['4', 4 * 2 ** 30],
    ['512 MiB', 512 * 2 ** 20],
    ['1.5GB', 1.5e9],
    ['2g', 2e9],
    ['7 B', 7],
    ['4 apples', null],
    ['', null]
  ])('reads the size %p as %p', (text, bytes) => {
    expect(parseMemory(text)).toBe(bytes);
  });

  it.each([400 * 2 ** 20, 1.5 * 2 ** 30, 1e9, 123_456_789])(
    'reads back %d bytes',
    bytes => {
      expect(parseMemory(writeMemory(bytes))).toBe(bytes);
    }
  );
});
