import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { DurationUnit, IDurationInput } from '../amounts';
import type { Problems } from '../form';

/** What every field has. */
interface IFieldProps {
  readonly name: string;
  readonly label: string;
  readonly problems: Problems;
  /** What the field means, or allows. */
  readonly hint?: React.ReactNode;
}

/** The attributes that join a control with its label, its hint and its error. */
interface IControl {
  readonly id: string;
  readonly name: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string | undefined;
}

/** A control with its label above, its hint and its error below. */
export function Field(
  props: IFieldProps & {
    children: (control: IControl) => React.ReactNode;
  }
): React.JSX.Element {
  const { name, label, problems, hint } = props;
  const id = `jp-RemoteKernels-field-${name.replace(/\W/g, '-')}`;
  const problem = problems[name];
  const described = [problem ? `${id}-error` : '', hint ? `${id}-hint` : ''];
  const control: IControl = {
    id,
    name,
    'aria-invalid': !!problem,
    'aria-describedby': described.filter(text => !!text).join(' ') || undefined
  };
  return (
    <div className="jp-RemoteKernels-field" data-field={name}>
      <label htmlFor={id}>{label}</label>
      {props.children(control)}
      {problem && (
        <div
          id={`${id}-error`}
          className="jp-RemoteKernels-fieldError"
          role="alert"
        >
          {problem}
        </div>
      )}
      {hint && (
        <div id={`${id}-hint`} className="jp-RemoteKernels-hint">
          {hint}
        </div>
      )}
    </div>
  );
}

/** A line of text. */
export function TextField(
  props: IFieldProps & {
    value: string;
    onChange: (value: string) => void;
    placeholder?: string;
    disabled?: boolean;
    isNumber?: boolean;
  }
): React.JSX.Element {
  return (
    <Field {...props}>
      {control => (
        <input
          {...control}
          type="text"
          className="jp-mod-styled"
          inputMode={props.isNumber ? 'decimal' : undefined}
          value={props.value}
          placeholder={props.placeholder}
          disabled={props.disabled}
          autoComplete="off"
          spellCheck={false}
          onChange={event => props.onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

/** Several lines of text. */
export function LinesField(
  props: IFieldProps & {
    value: string;
    onChange: (value: string) => void;
    rows?: number;
  }
): React.JSX.Element {
  return (
    <Field {...props}>
      {control => (
        <textarea
          {...control}
          className="jp-mod-styled"
          rows={props.rows ?? 3}
          value={props.value}
          spellCheck={false}
          onChange={event => props.onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

/** One of several. */
export function SelectField(
  props: IFieldProps & {
    value: string;
    options: ReadonlyArray<{ value: string; label: string }>;
    onChange: (value: string) => void;
  }
): React.JSX.Element {
  return (
    <Field {...props}>
      {control => (
        <select
          {...control}
          className="jp-mod-styled"
          value={props.value}
          onChange={event => props.onChange(event.target.value)}
        >
          {props.options.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** A number of minutes or hours. */
export function DurationField(
  props: IFieldProps & {
    value: IDurationInput;
    onChange: (value: IDurationInput) => void;
    disabled?: boolean;
    trans: TranslationBundle;
    children?: React.ReactNode;
  }
): React.JSX.Element {
  const { value, onChange, disabled, trans } = props;
  return (
    <Field {...props}>
      {control => (
        <div className="jp-RemoteKernels-duration">
          <input
            {...control}
            type="text"
            className="jp-mod-styled"
            inputMode="decimal"
            value={value.amount}
            disabled={disabled}
            autoComplete="off"
            onChange={event =>
              onChange({ ...value, amount: event.target.value })
            }
          />
          <select
            className="jp-mod-styled"
            aria-label={trans.__('Unit')}
            value={value.unit}
            disabled={disabled}
            onChange={event =>
              onChange({ ...value, unit: event.target.value as DurationUnit })
            }
          >
            <option value="minutes">{trans.__('minutes')}</option>
            <option value="hours">{trans.__('hours')}</option>
          </select>
          {props.children}
        </div>
      )}
    </Field>
  );
}

/** Yes or no. */
export function Checkbox(props: {
  name: string;
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  disabled?: boolean;
  id?: string;
  isInvalid?: boolean;
}): React.JSX.Element {
  return (
    <label className="jp-RemoteKernels-checkbox">
      <input
        type="checkbox"
        id={props.id}
        name={props.name}
        aria-invalid={props.isInvalid}
        checked={props.checked}
        disabled={props.disabled}
        onChange={event => props.onChange(event.target.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}

/** Fields that belong together, out of the way until they are wanted. */
export function Group(props: {
  label: string;
  open?: boolean;
  children: React.ReactNode;
}): React.JSX.Element {
  return (
    <details className="jp-RemoteKernels-group" open={props.open}>
      <summary>{props.label}</summary>
      <div>{props.children}</div>
    </details>
  );
}

/** What is wrong and belongs to no field. */
export function FormErrors(props: {
  problems: Problems;
}): React.JSX.Element | null {
  const text = props.problems[''];
  return text ? (
    <div className="jp-RemoteKernels-fieldError" role="alert">
      {text}
    </div>
  ) : null;
}
