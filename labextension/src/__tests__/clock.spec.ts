import { ServerClock } from '../clock';

const header = (ms: number): string => new Date(ms).toUTCString();

describe('ServerClock', () => {
  const T = Date.parse('2026-01-01T00:00:00Z');

  it('takes clocks that can be the same for the same', () => {
    const clock = new ServerClock();
    expect(clock.offsetMs).toBe(0);
    clock.observe(header(T), T + 300, T + 320);
    expect(clock.offsetMs).toBe(0);
  });

  it('learns the difference, and more of it with every answer', () => {
    const clock = new ServerClock();
    // The server is 10.3 s ahead; its header drops the part of the second.
    for (let step = 0; step < 20; step += 1) {
      const local = T + step * 1137;
      const server = Math.floor((local + 10_300) / 1000) * 1000;
      clock.observe(header(server), local - 5, local + 5);
    }
    expect(Math.abs(clock.offsetMs - 10_300)).toBeLessThan(100);
  });

  it('starts anew when a clock was set, and ignores what is no date', () => {
    const clock = new ServerClock();
    clock.observe(header(T + 60_000), T, T + 10);
    expect(clock.offsetMs).toBeGreaterThan(59_000);
    clock.observe(null, T, T);
    clock.observe('soon', T, T);
    expect(clock.offsetMs).toBeGreaterThan(59_000);
    clock.observe(header(T), T + 10, T + 20);
    expect(clock.offsetMs).toBe(0);
  });
});
