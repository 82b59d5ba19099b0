/**
 * Icons of our own. `jp-icon3` and `jp-icon-selectable` let the theme colour them; a state icon
 * differs from the others in its shape, never in colour alone.
 */
import { LabIcon } from '@jupyterlab/ui-components';

import type { StateKind } from './format';

function icon(name: string, body: string): LabIcon {
  return new LabIcon({
    name: `jupyter-remote-kernels:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">${body}</svg>`
  });
}

// As a style: the theme's classes fill whatever has a `fill` attribute, even that of `none`.
const stroke = 'style="fill:none" stroke-width="2" stroke-linecap="round"';

/** A prompt in a cloud: the panel's icon. */
export const remoteKernelsIcon = icon(
  'panel',
  `<g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M18 20H6.2a5.2 5.2 0 0 1-.7-10.35A7 7 0 0 1 18.9 9.1 5.5 5.5 0 0 1 18 20zM11.9 6a5 5 0 0 0-4.6 3.9l-.2 1-1 .1A3.2 3.2 0 0 0 6.2 18H18a3.5 3.5 0 0 0 .3-7l-1.2-.1-.2-1A5 5 0 0 0 11.9 6z"/>
    <path d="m8.6 11.4 1.2-1.2L13 13.3l-3.2 3.1-1.2-1.2 2-1.9zM13 15h3.5v1.6H13z"/>
  </g>`
);

const queued = icon(
  'queued',
  `<g class="jp-icon3" fill="#616161"><path d="M6 2h12v5l-4.5 5 4.5 5v5H6v-5l4.5-5L6 7zm2 2v2.2l4 4.4 4-4.4V4zm4 9.4-4 4.4V20h8v-2.2z"/></g>`
);

const starting = icon(
  'starting',
  `<circle class="jp-icon4" stroke="#bdbdbd" ${stroke} cx="12" cy="12" r="8"/>
   <path class="jp-RemoteKernels-spin jp-icon-brand1" stroke="#1976d2" ${stroke} d="M12 4a8 8 0 0 1 8 8"/>`
);

const idle = icon(
  'idle',
  `<circle class="jp-icon3" stroke="#616161" ${stroke} cx="12" cy="12" r="7"/>`
);

const busy = icon(
  'busy',
  '<circle class="jp-icon3" fill="#616161" cx="12" cy="12" r="8"/>'
);

const unreachable = icon(
  'unreachable',
  `<g class="jp-RemoteKernels-warn" stroke="#f57c00" ${stroke}>
    <path d="M3 9.5a13 13 0 0 1 5-2.8M21 9.5a13 13 0 0 0-7-3.3M6.5 13a8.5 8.5 0 0 1 4-2.2M9.7 16.3a4 4 0 0 1 4.5 0"/>
    <path d="M4 3l16 18"/></g>`
);

const replaying = icon(
  'replaying',
  `<path class="jp-icon3" stroke="#616161" ${stroke} d="M12 4v10M7.5 9.5 12 14l4.5-4.5M4 15v4h16v-4"/>`
);

const paused = icon(
  'paused',
  '<path class="jp-icon3" fill="#616161" d="M7 5h3.5v14H7zm6.5 0H17v14h-3.5z"/>'
);

const stopping = icon(
  'stopping',
  `<circle class="jp-icon3" stroke="#616161" ${stroke} stroke-dasharray="2 4.28" cx="12" cy="12" r="8"/>
   <path class="jp-icon3" fill="#616161" d="M9 9h6v6H9z"/>`
);

const stopped = icon(
  'stopped',
  `<rect class="jp-icon3" stroke="#616161" ${stroke} x="6" y="6" width="12" height="12" rx="1"/>`
);

const failed = icon(
  'failed',
  `<path class="jp-RemoteKernels-error" fill="#d32f2f" fill-rule="evenodd" d="M12 2.5 23 21.5H1zm0 4L4.5 19.5h15zM11 10.5h2v4.5h-2zm0 5.7h2v2h-2z"/>`
);

const ended = icon(
  'ended',
  `<circle class="jp-icon3" stroke="#616161" ${stroke} cx="12" cy="12" r="8"/>
   <path class="jp-icon3" stroke="#616161" ${stroke} d="M12 7.5V12h3.5"/>
   <path class="jp-icon3" stroke="#616161" ${stroke} d="M4 4l16 16"/>`
);

/** One icon per kind of state. */
export const stateIcons: Readonly<Record<StateKind, LabIcon>> = {
  queued,
  starting,
  idle,
  busy,
  unreachable,
  replaying,
  paused,
  stopping,
  stopped,
  ended,
  failed
};

/** The panel's cloud with a plus: the card in the launcher. */
export const launchRuntimeIcon = icon(
  'launch',
  `<g class="jp-icon3 jp-icon-selectable" fill="#616161">
    <path d="M18 20H6.2a5.2 5.2 0 0 1-.7-10.35A7 7 0 0 1 18.9 9.1 5.5 5.5 0 0 1 18 20zM11.9 6a5 5 0 0 0-4.6 3.9l-.2 1-1 .1A3.2 3.2 0 0 0 6.2 18H18a3.5 3.5 0 0 0 .3-7l-1.2-.1-.2-1A5 5 0 0 0 11.9 6z"/>
    <path d="M11.2 9.5h1.6v2.7h2.7v1.6h-2.7v2.7h-1.6v-2.7H8.5v-1.6h2.7z"/>
  </g>`
);

/** A clock with a plus: more time. */
export const extendIcon = icon(
  'extend',
  '<path class="jp-icon3" fill="#616161" d="M11 3a8 8 0 0 1 8 8h-2a6 6 0 1 0-6 6v2a8 8 0 0 1 0-16zm-1 3.5h1.6v4.3l2.6 1.6-.8 1.3-3.4-2.1zM17 13h2v3h3v2h-3v3h-2v-3h-3v-2h3z"/>'
);

/** A clock. */
export const timeIcon = icon(
  'time',
  '<path class="jp-icon3" fill="#616161" d="M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zm0 2a7 7 0 1 0 0 14 7 7 0 0 0 0-14zm-.8 2.5h1.6v4.4l3 1.8-.8 1.3-3.8-2.3z"/>'
);

/** Hands of a clock in a warning sign: little time. */
export const timeShortIcon = icon(
  'time-short',
  '<path class="jp-RemoteKernels-warnFill" fill="#f57c00" fill-rule="evenodd" d="M12 2.5 23 21.5H1zM11.1 9v5.4l3.7 2.2.9-1.4-2.9-1.7V9z"/>'
);

/** Two sheets: duplicate. */
export const copyIcon = icon(
  'copy',
  '<path class="jp-icon3" fill="#616161" d="M15 3H5a2 2 0 0 0-2 2v11h2V5h10zm4 4H9a2 2 0 0 0-2 2v10a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V9a2 2 0 0 0-2-2zm0 12H9V9h10z"/>'
);

/** Two bars: pause. */
export const pauseIcon = icon(
  'pause',
  '<path class="jp-icon3" fill="#616161" d="M7 5h3.5v14H7zm6.5 0H17v14h-3.5z"/>'
);

/** A triangle after a bar: resume. */
export const resumeIcon = icon(
  'resume',
  '<path class="jp-icon3" fill="#616161" d="M6 5h2.5v14H6zm5 0 9 7-9 7z"/>'
);

/** Two arrows, one each way: transfer. */
export const transferIcon = icon(
  'transfer',
  '<path class="jp-icon3" fill="#616161" d="m15 3 5 4.5-5 4.5V9H4V6h11zM9 12v3h11v3H9v3l-5-4.5z"/>'
);

/** A box that an arrow leaves: move. */
export const moveIcon = icon(
  'move',
  '<path class="jp-icon3" fill="#616161" d="M4 4h9v2H6v12h7v2H4zm11 3 6 5-6 5v-3.5H9v-3h6z"/>'
);

/** A camera: snapshot. */
export const snapshotIcon = icon(
  'snapshot',
  '<path class="jp-icon3" fill="#616161" fill-rule="evenodd" d="M9 4h6l1.8 2H20a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2h3.2zM4 8v10h16V8h-4.1l-1.8-2H9.9L8.1 8zm8 .8a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4zm0 2a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4z"/>'
);

/** A clock that goes back: restore. */
export const restoreIcon = icon(
  'restore',
  `<path class="jp-icon3" stroke="#616161" ${stroke} d="M4.5 4v5h5M4.8 8.6A8 8 0 1 1 4 12M12 8v4.3l3 1.8"/>`
);

/** Lines of a log. */
export const logIcon = icon(
  'log',
  '<path class="jp-icon3" fill="#616161" d="M4 5h16v2H4zm0 4h11v2H4zm0 4h16v2H4zm0 4h8v2H4z"/>'
);

/** A label with a pen's stroke: rename. */
export const renameIcon = icon(
  'rename',
  '<path class="jp-icon3" fill="#616161" d="M3 17.25V21h3.75L17.81 9.94l-3.75-3.75zM20.71 7.04a1 1 0 0 0 0-1.41l-2.34-2.34a1 1 0 0 0-1.41 0l-1.83 1.83 3.75 3.75z"/>'
);

/** An on-off switch: terminate. */
export const terminateIcon = icon(
  'terminate',
  '<path class="jp-icon3" fill="#616161" d="M13 3h-2v10h2zm4.83 2.17-1.42 1.42A6.92 6.92 0 0 1 19 12a7 7 0 1 1-11.41-5.4L6.17 5.17A8.98 8.98 0 0 0 12 21a9 9 0 0 0 5.83-15.83z"/>'
);
