/** What time it is on the server. */
export interface IClock {
  /** Milliseconds since 1970. */
  now(): number;
}

/**
 * The server's time, learned from the `Date` headers of its answers.
 *
 * A header has whole seconds, so that each answer leaves a range for the difference between the
 * two clocks. The ranges are intersected: a few answers are enough for a good guess.
 */
export class ServerClock implements IClock {
  now(): number {
    return Date.now() + this.offsetMs;
  }

  /** What has to be added to the local time. */
  get offsetMs(): number {
    // Clocks that can be the same are taken to be: then nothing jumps when more is learned.
    if (this._min <= 0 && this._max >= 0) {
      return 0;
    }
    return (this._min + this._max) / 2;
  }

  /**
   * Learn from an answer.
   *
   * @param date - its `Date` header
   * @param sentAt - the local time before the request
   * @param receivedAt - the local time after the answer
   */
  observe(date: string | null, sentAt: number, receivedAt: number): void {
    const server = Date.parse(date ?? '');
    if (Number.isNaN(server)) {
      return;
    }
    const min = server - receivedAt;
    const max = server + 1000 - sentAt;
    const isSet = max < this._min || min > this._max;
    // A clock was set meanwhile: what was known is worth nothing.
    this._min = isSet ? min : Math.max(min, this._min);
    this._max = isSet ? max : Math.min(max, this._max);
  }

  private _min = -Infinity;
  private _max = Infinity;
}
