/**
 * The plugins, one by one: each can be disabled, and only the model is needed by the others.
 */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { bannerPlugin } from './plugins/banner';
import { commandsPlugin } from './plugins/commands';
import { environmentsPlugin } from './plugins/environments';
import { exitsPlugin } from './plugins/exits';
import { launchPlugin } from './plugins/launch';
import { launcherPlugin } from './plugins/launcher';
import { logsPlugin } from './plugins/logs';
import { modelPlugin } from './plugins/model';
import { movePlugin } from './plugins/move';
import { notebookStatusPlugin } from './plugins/notebook';
import { panelPlugin } from './plugins/panel';
import { pausePlugin } from './plugins/pause';
import { recoveryPlugin } from './plugins/recovery';
import { reservationsPlugin } from './plugins/reservations';
import { runAgainPlugin } from './plugins/runAgain';
import { snapshotsPlugin } from './plugins/snapshots';
import { transferPlugin } from './plugins/transfer';
import { usagePlugin } from './plugins/usage';
import { volumesPlugin } from './plugins/volumes';
import { warningsPlugin } from './plugins/warnings';

export * from './api';
export * from './errors';
export * from './executionsApi';
export * from './panel';
export * from './reservations';
export * from './stateApi';
export * from './tokens';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  modelPlugin,
  commandsPlugin,
  launchPlugin,
  launcherPlugin,
  panelPlugin,
  snapshotsPlugin,
  environmentsPlugin,
  volumesPlugin,
  usagePlugin,
  logsPlugin,
  notebookStatusPlugin,
  recoveryPlugin,
  pausePlugin,
  runAgainPlugin,
  movePlugin,
  transferPlugin,
  reservationsPlugin,
  warningsPlugin,
  bannerPlugin,
  exitsPlugin
];

export default plugins;
