import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatCredits, formatDuration, formatNumber } from '../amounts';
import type { IUsageReport } from '../api';
import { asSentences, formatDay } from '../format';
import { Blank, type IViewContext } from './common';

/** What has been used of the budget. */
export function Usage(props: { context: IViewContext }): React.JSX.Element {
  const { remoteKernels, trans } = props.context;
  const { value, error } = remoteKernels.usage;
  if (error && !value) {
    return (
      <Blank
        alert
        title={trans.__('What was used cannot be read')}
        text={asSentences(error.message)}
        hint={asSentences(error.hint)}
        action={{
          label: trans.__('Retry'),
          run: () => void remoteKernels.usage.refresh()
        }}
      />
    );
  }
  if (!value) {
    return <Blank title={trans.__('Loading…')} />;
  }
  return (
    <div className="jp-RemoteKernels-report">
      <Budget report={value} trans={trans} />
      <RuntimeTable report={value} trans={trans} context={props.context} />
      <DayTable report={value} trans={trans} />
    </div>
  );
}

interface IReportProps {
  readonly report: IUsageReport;
  readonly trans: TranslationBundle;
}

function Budget(props: IReportProps): React.JSX.Element {
  const { report, trans } = props;
  const { budget, used, reserved, left } = report;
  const facts: [string, number | null][] = [
    [periodLabel(props), budget],
    [trans.__('Used'), used],
    [trans.__('Reserved'), reserved],
    [trans.__('Left'), left]
  ];
  return (
    <>
      {budget !== null && budget > 0 && (
        // The figures below say the same.
        <div className="jp-RemoteKernels-budget" aria-hidden="true">
          <div style={{ width: share(used, budget) }} />
          <div data-reserved style={{ width: share(reserved, budget) }} />
        </div>
      )}
      <dl className="jp-RemoteKernels-figures">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              {value === null
                ? trans.__('no limit')
                : formatCredits(value, trans)}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function periodLabel({ report, trans }: IReportProps): string {
  switch (report.period) {
    case 'day':
      return trans.__('Budget today');
    case 'month':
      return trans.__('Budget this month');
    case 'total':
      return trans.__('Budget');
  }
}

function share(part: number, whole: number): string {
  return `${Math.min(100, (100 * part) / whole)}%`;
}

function RuntimeTable(
  props: IReportProps & { context: IViewContext }
): React.JSX.Element {
  const { report, trans } = props;
  // The ledger outlives environments: of those that are gone, the name is left.
  const nameOf = (environment: string): string =>
    props.context.remoteKernels.findEnvironment(environment)?.display_name ??
    environment;
  return (
    <Table
      caption={trans.__('Runtimes')}
      first={trans.__('Runtime')}
      trans={trans}
      rows={report.runtimes.map(runtime => ({
        key: runtime.runtime_id,
        label: runtime.name,
        detail: [
          nameOf(runtime.environment),
          runtime.living ? trans.__('goes on') : ''
        ]
          .filter(text => !!text)
          .join(' · '),
        seconds: runtime.seconds,
        credits: runtime.credits
      }))}
    />
  );
}

function DayTable(props: IReportProps): React.JSX.Element {
  const { report, trans } = props;
  return (
    <Table
      caption={trans.__('Days')}
      first={trans.__('Day')}
      trans={trans}
      rows={report.days.map(({ date, seconds, credits }) => ({
        key: date,
        label: formatDay(date),
        detail: '',
        seconds,
        credits
      }))}
    />
  );
}

interface IUsageRow {
  readonly key: string;
  readonly label: string;
  readonly detail: string;
  readonly seconds: number;
  readonly credits: number;
}

function Table(props: {
  caption: string;
  first: string;
  rows: ReadonlyArray<IUsageRow>;
  trans: TranslationBundle;
}): React.JSX.Element | null {
  const { caption, first, rows, trans } = props;
  if (rows.length === 0) {
    return null;
  }
  const sum = (key: 'seconds' | 'credits'): number =>
    rows.reduce((total, row) => total + row[key], 0);
  return (
    <table className="jp-RemoteKernels-table">
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">{first}</th>
          <th scope="col">{trans.__('Time')}</th>
          <th scope="col">{trans.__('Credits')}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(row => (
          <tr key={row.key}>
            <th scope="row">
              {row.label}
              {row.detail && (
                <span className="jp-RemoteKernels-line">{row.detail}</span>
              )}
            </th>
            <td>{formatDuration(row.seconds, trans)}</td>
            <td>{formatNumber(row.credits)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{trans.__('Total')}</th>
          <td>{formatDuration(sum('seconds'), trans)}</td>
          <td>{formatNumber(sum('credits'))}</td>
        </tr>
      </tfoot>
    </table>
  );
}
