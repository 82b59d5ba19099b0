import { Signal, type ISignal } from '@lumino/signaling';

/** What is wrong, by field; the empty name is for what belongs to no field. */
export type Problems = Readonly<Record<string, string>>;

/** What a person has filled in, and what is wrong with it. */
export class Form<V extends object> {
  constructor(values: V) {
    this._values = values;
  }

  get values(): V {
    return this._values;
  }

  get problems(): Problems {
    return this._problems;
  }

  /** How often something was found to be wrong. */
  get failures(): number {
    return this._failures;
  }

  /** Whether what was filled in is on its way to the server. */
  get isBusy(): boolean {
    return this._isBusy;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Fill in some fields; what was wrong with them is forgotten. */
  update(changes: Partial<V>): void {
    this._values = { ...this._values, ...changes };
    const names = new Set(Object.keys(changes));
    this._problems = Object.fromEntries(
      Object.entries(this._problems).filter(
        ([field]) => field !== '' && !names.has(field)
      )
    );
    this._changed.emit();
  }

  setBusy(isBusy: boolean): void {
    this._isBusy = isBusy;
    this._changed.emit();
  }

  fail(problems: Problems): void {
    this._problems = problems;
    this._failures += 1;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _values: V;
  private _problems: Problems = {};
  private _failures = 0;
  private _isBusy = false;
}
