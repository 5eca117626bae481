import { REPORT_STYLE } from '../../src/evaluation/reports/html-report.js';
import { startBench } from './panel.js';
import { PANEL_STYLE } from './panel-style.js';

document.head.append(Object.assign(document.createElement('style'), { textContent: REPORT_STYLE + PANEL_STYLE }));
await startBench();
