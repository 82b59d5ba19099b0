import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { explain } from './launch';

/** What the rows of a list are of. */
export interface IRowKind<T> {
  readonly app: JupyterFrontEnd;
  /** The name of the argument, and of the data attribute of a row. */
  readonly key: string;
  /** Describes the argument. */
  readonly description: string;
  find(wanted: unknown): T | undefined;
  /** Says what did not come about, in front of the reason. */
  describeFailure(item: T): string;
}

/** What can be done with one row. */
export interface IRowCommand<T> {
  readonly label: string;
  readonly caption?: string;
  readonly icon: LabIcon;
  isPossible(item: T): boolean;
  /** Whether it is not even shown where it is not possible. */
  readonly isHidden?: boolean;
  run(item: T): Promise<void>;
}

/** Add a command about one row; an error becomes a notification. */
export function addRowCommand<T>(
  kind: IRowKind<T>,
  id: string,
  command: IRowCommand<T>
): void {
  const { app, key } = kind;
  const { label, caption, icon, isHidden } = command;
  const find = (args: ReadonlyPartialJSONObject): T | undefined => {
    const wanted = args.fromContextMenu
      ? app.contextMenuHitTest(node => !!node.dataset[key])?.dataset[key]
      : args[key];
    return kind.find(wanted);
  };
  const isPossible = (args: ReadonlyPartialJSONObject): boolean => {
    const item = find(args);
    return !!item && command.isPossible(item);
  };
  app.commands.addCommand(id, {
    label,
    caption,
    icon,
    isVisible: isHidden ? isPossible : () => true,
    isEnabled: isPossible,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          [key]: { type: 'string', description: kind.description },
          fromContextMenu: {
            type: 'boolean',
            description: 'Take the row on which the context menu was opened.'
          }
        }
      }
    },
    execute: async args => {
      const item = find(args);
      if (!item) {
        return;
      }
      try {
        await command.run(item);
      } catch (error) {
        Notification.error(explain(kind.describeFailure(item), error), {
          autoClose: false
        });
      }
    }
  });
}
