import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { FormErrors } from './components/fields';
import type { Form, Problems } from './form';

/** A dialog with fields. */
export interface IFormDialogOptions<V extends object, R> {
  readonly title: string;
  readonly form: Form<V>;
  readonly trans: TranslationBundle;
  readonly acceptLabel: string;
  readonly fields: () => React.JSX.Element;
  /** What is wrong before anything is sent; empty when nothing is. */
  readonly check: (values: V) => Problems;
  /** Do what the dialog is for; a rejection leaves it open. */
  readonly submit: (values: V) => Promise<R>;
  /** Say which field a rejection is about. */
  readonly explain: (error: unknown) => Problems;
}

/**
 * Show a dialog that stays open until what was filled in has been accepted.
 *
 * @returns what `submit` returned, or `null` when the user gave up
 */
export async function showFormDialog<V extends object, R>(
  options: IFormDialogOptions<V, R>
): Promise<R | null> {
  const dialog = new FormDialog(options);
  await dialog.launch();
  return dialog.result;
}

class FormDialog<V extends object, R> extends Dialog<unknown> {
  constructor(options: IFormDialogOptions<V, R>) {
    const { trans, acceptLabel } = options;
    super({
      title: options.title,
      body: new FormBody(options),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: acceptLabel, ariaLabel: acceptLabel })
      ],
      focusNodeSelector: 'input:not([disabled]), select, textarea'
    });
    this.addClass('jp-RemoteKernels-dialog');
    this.node.setAttribute('aria-label', options.title);
    this._options = options;
  }

  /** What `submit` returned. */
  result: R | null = null;

  override resolve(index?: number): void {
    if (index === 0) {
      super.resolve(index);
    } else {
      void this._submit(index);
    }
  }

  protected override _evtKeydown(event: KeyboardEvent): void {
    // The base class takes Enter for "accept" wherever the focus is, also on a button of the form.
    const isOfForm =
      event.target instanceof HTMLElement &&
      !!event.target.closest('.jp-Dialog-body button, .jp-Dialog-body summary');
    if (event.key !== 'Enter' || !isOfForm) {
      super._evtKeydown(event);
    }
  }

  protected override _evtFocus(event: FocusEvent): void {
    const { target } = event;
    if (target instanceof HTMLElement && this.node.contains(target)) {
      this._focused = target;
    } else if (this._focused?.isConnected) {
      // Something below asked for the focus, as the launcher does when it is drawn at last. The
      // base class would go back to the first field, in the middle of a word.
      event.stopPropagation();
      this._focused.focus();
    } else {
      super._evtFocus(event);
    }
  }

  private async _submit(index?: number): Promise<void> {
    const { form, check, submit, explain } = this._options;
    if (form.isBusy) {
      return;
    }
    const problems = check(form.values);
    if (Object.keys(problems).length > 0) {
      this._fail(problems);
      return;
    }
    form.setBusy(true);
    try {
      this.result = await submit(form.values);
    } catch (error) {
      form.setBusy(false);
      this._fail(explain(error));
      return;
    }
    // Whoever closed the dialog meanwhile has seen enough of it.
    if (!this.isDisposed) {
      super.resolve(index);
    }
  }

  /** Show what is wrong, unless the user has closed the dialog meanwhile. */
  private _fail(problems: Problems): void {
    if (!this.isDisposed) {
      this._options.form.fail(problems);
    }
  }

  private readonly _options: IFormDialogOptions<V, R>;
  private _focused: HTMLElement | null = null;
}

class FormBody<V extends object, R>
  extends ReactWidget
  implements Dialog.IBodyWidget<unknown>
{
  constructor(options: IFormDialogOptions<V, R>) {
    super();
    this._options = options;
    this.addClass('jp-RemoteKernels-form');
  }

  getValue(): unknown {
    return null;
  }

  protected override render(): React.JSX.Element {
    const { form, fields } = this._options;
    return (
      <UseSignal signal={form.changed}>
        {() => <FormContent form={form}>{fields()}</FormContent>}
      </UseSignal>
    );
  }

  private readonly _options: IFormDialogOptions<V, R>;
}

function FormContent<V extends object>(props: {
  form: Form<V>;
  children: React.ReactNode;
}): React.JSX.Element {
  const { form, children } = props;
  const content = React.useRef<HTMLDivElement>(null);
  const { failures } = form;
  // Whoever is told that something is wrong gets to the first place where it is.
  React.useEffect(() => {
    const field = content.current?.querySelector<HTMLElement>(
      '[aria-invalid="true"]'
    );
    if (failures === 0 || !field) {
      return;
    }
    const details = field.closest('details');
    if (details) {
      details.open = true;
    }
    field.focus();
  }, [failures]);
  return (
    <div ref={content} aria-busy={form.isBusy}>
      {children}
      <FormErrors problems={form.problems} />
    </div>
  );
}
