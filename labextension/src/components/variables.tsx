import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Problems } from '../form';
import { asSentences, formatBytes } from '../format';
import type { ILoadable } from '../loadable';
import { describeReason } from '../pausing';
import type { Conflict, IVariable, IVariables } from '../stateApi';
import {
  canBeCarried,
  chosenNames,
  conflictingNames,
  describeChoice,
  describeConflicts,
  toggleName,
  type IVariableChoice
} from '../variables';
import { Field, SelectField } from './fields';

interface IChoiceProps {
  readonly choice: IVariableChoice;
  readonly problems: Problems;
  readonly trans: TranslationBundle;
  readonly onChange: (changes: Partial<IVariableChoice>) => void;
}

/** Chooses among the variables of a kernel or a snapshot. */
export function VariableField(
  props: IChoiceProps & {
    list: ILoadable<IVariables>;
    /** What is said until the list is there. */
    waiting: string;
  }
): React.JSX.Element {
  const { list, waiting, problems, trans } = props;
  return (
    <UseSignal signal={list.changed}>
      {() => (
        <Field
          name="variables"
          label={trans.__('Variables')}
          problems={problems}
          hint={list.value && describeChoice(list.value, props.choice, trans)}
        >
          {({ id, 'aria-invalid': isInvalid, ...control }) => (
            <div
              id={id}
              role="group"
              tabIndex={isInvalid ? -1 : undefined}
              aria-label={trans.__('Variables')}
              aria-invalid={isInvalid}
              aria-describedby={control['aria-describedby']}
            >
              {list.value && <VariableTable {...props} found={list.value} />}
              {!list.value && (
                <div className="jp-RemoteKernels-hint" aria-live="polite">
                  {list.error
                    ? asSentences(list.error.message, list.error.hint)
                    : waiting}
                </div>
              )}
            </div>
          )}
        </Field>
      )}
    </UseSignal>
  );
}

function VariableTable(
  props: IChoiceProps & { found: IVariables }
): React.JSX.Element {
  const { found, choice, trans, onChange } = props;
  const all = React.useRef<HTMLInputElement>(null);
  const possible = found.variables.filter(canBeCarried).length;
  const names = new Set(chosenNames(found, choice));
  const isSome = names.size > 0 && names.size < possible;
  React.useEffect(() => {
    if (all.current) {
      all.current.indeterminate = isSome;
    }
  }, [isSome]);
  if (found.variables.length === 0) {
    return (
      <div className="jp-RemoteKernels-hint">
        {trans.__('There are no variables.')}
      </div>
    );
  }
  return (
    <div className="jp-RemoteKernels-variables">
      <table className="jp-RemoteKernels-table">
        <thead>
          <tr>
            <th scope="col">
              <label className="jp-RemoteKernels-checkbox">
                <input
                  ref={all}
                  type="checkbox"
                  name="all"
                  disabled={possible === 0}
                  checked={possible > 0 && names.size === possible}
                  onChange={event =>
                    onChange({ chosen: event.target.checked ? null : [] })
                  }
                />
                <span>{trans.__('All that can be carried')}</span>
              </label>
            </th>
            <th scope="col">{trans.__('Type')}</th>
            <th scope="col">{trans.__('Size')}</th>
          </tr>
        </thead>
        <tbody>
          {[...found.variables]
            .sort((a, b) => a.name.localeCompare(b.name))
            .map(variable => (
              <VariableRow
                key={variable.name}
                variable={variable}
                isChosen={names.has(variable.name)}
                trans={trans}
                onToggle={() =>
                  onChange({ chosen: toggleName(found, choice, variable.name) })
                }
              />
            ))}
        </tbody>
      </table>
    </div>
  );
}

function VariableRow(props: {
  variable: IVariable;
  isChosen: boolean;
  trans: TranslationBundle;
  onToggle: () => void;
}): React.JSX.Element {
  const { variable, isChosen, trans, onToggle } = props;
  const { name, type, size_bytes, preview, status } = variable;
  return (
    <tr data-variable={name}>
      <th scope="row">
        <label className="jp-RemoteKernels-checkbox" title={preview ?? ''}>
          <input
            type="checkbox"
            name={`variable-${name}`}
            checked={isChosen}
            disabled={!canBeCarried(variable)}
            onChange={onToggle}
          />
          <code>{name}</code>
        </label>
        {status !== 'carried' && (
          <div className="jp-RemoteKernels-line">
            {asSentences(describeReason(variable, trans))}
          </div>
        )}
      </th>
      <td>{type}</td>
      <td>{size_bytes === null ? '' : formatBytes(size_bytes)}</td>
    </tr>
  );
}

/** Chooses what becomes of the variables whose names the target has, too. */
export function ConflictField(
  props: IChoiceProps & {
    source: ILoadable<IVariables>;
    target: ILoadable<IVariables>;
    targetName: string;
  }
): React.JSX.Element {
  const { choice, problems, source, target, targetName, trans } = props;
  return (
    <UseSignal signal={target.changed}>
      {() => (
        <UseSignal signal={source.changed}>
          {() => (
            <SelectField
              name="on_conflict"
              label={trans.__('Variables that both have')}
              problems={problems}
              value={choice.on_conflict}
              options={[
                { value: 'refuse', label: trans.__('Carry nothing') },
                { value: 'replace', label: trans.__('Replace') },
                { value: 'keep', label: trans.__('Keep those of the target') },
                { value: 'rename', label: trans.__('Give them new names') }
              ]}
              onChange={value =>
                props.onChange({ on_conflict: value as Conflict })
              }
              hint={
                <span aria-live="polite">
                  {target.value && source.value
                    ? describeConflicts(
                        conflictingNames(
                          chosenNames(source.value, choice),
                          source.value,
                          target.value
                        ),
                        choice.on_conflict,
                        targetName,
                        trans
                      )
                    : trans.__('What both have is not known yet.')}
                </span>
              }
            />
          )}
        </UseSignal>
      )}
    </UseSignal>
  );
}
