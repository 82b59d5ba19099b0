import { Token } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';

/** One part of the Kernels panel. */
export interface IPanelSection {
  /** Stable: JupyterLab remembers by it where the user has put the section. */
  readonly id: string;
  readonly title: string;
  readonly content: Widget;
  /** Sections are in the order of their ranks. */
  readonly rank: number;
  /** What can be done with the section as a whole: commands, and how their buttons are called. */
  readonly actions?: ReadonlyArray<{
    readonly command: string;
    readonly caption: string;
  }>;
  readonly isCollapsed?: boolean;
}

/** The Kernels panel, to which plugins add sections. */
export interface IKernelsPanel {
  addSection(section: IPanelSection): void;
}

/** The token under which other plugins get the panel. */
export const IKernelsPanel = new Token<IKernelsPanel>(
  'jupyter-remote-kernels:IKernelsPanel',
  'The side panel of remote kernels, to which sections can be added.'
);
