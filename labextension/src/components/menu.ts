import { MenuSvg } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyJSONObject } from '@lumino/coreutils';

/** Open a menu of commands below a button; `null` separates. The focus comes back to the button. */
export function openMenu(
  commands: CommandRegistry,
  items: ReadonlyArray<string | null>,
  args: ReadonlyJSONObject,
  button: HTMLElement
): void {
  const menu = new MenuSvg({ commands });
  menu.addClass('jp-ThemedContainer');
  for (const command of items) {
    if (command === null) {
      menu.addItem({ type: 'separator' });
    } else if (commands.hasCommand(command)) {
      menu.addItem({ command, args });
    }
  }
  menu.aboutToClose.connect(() => {
    // A toolbar sends a focus that comes from elsewhere to the item that had it last.
    (document.activeElement as HTMLElement | null)?.blur();
    button.focus();
  });
  // Only after the command was found: an item that is chosen closes the menu first.
  menu.aboutToClose.connect(() => requestAnimationFrame(() => menu.dispose()));
  const { left, bottom } = button.getBoundingClientRect();
  menu.open(left, bottom);
  menu.activateNextItem();
  // It asks for the focus only when the page has time: a key that comes before is for it already.
  menu.node.focus();
}
