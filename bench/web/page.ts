import { REPORT_STYLE } from '../../src/evaluation/html-report.js';
import { PANEL_STYLE, startBench } from './panel.js';

document.head.append(Object.assign(document.createElement('style'), { textContent: REPORT_STYLE + PANEL_STYLE }));
await startBench();
