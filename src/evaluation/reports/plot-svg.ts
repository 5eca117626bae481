import { ArgumentError } from '../../common/errors.js';
import { type Axis, axisPosition, makeAxis } from './axis.js';
import { escapeMarkup } from './escape.js';
import { type Colours, DARK, FONT, LIGHT, SERIES_COLOURS } from './look.js';

export interface PlotSeries {
  name: string;
  /** (x, y); a point that is not finite (or not positive, on a logarithmic axis) leaves a gap in the line */
  points: readonly (readonly [number, number])[];
  /** draw a dot at each point; 'only': and no line through them */
  markers?: boolean | 'only';
}

export interface LinePlotOptions {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly PlotSeries[];
  logX?: boolean;
  logY?: boolean;
  /** of the whole picture, pixels; 640 × 400 when absent */
  width?: number;
  height?: number;
}

/** Repeated with dashes from the eighth series on. */
const COLOURS = SERIES_COLOURS;
const DASHES = ['', '6 3', '2 3'];

const paints = ({ paper, ink, faint, line }: Colours): string =>
  `.bg{fill:${paper}}.ink{fill:${ink}}.axis{stroke:${faint};fill:none}.grid{stroke:${line}}`;

const STYLE = `
${paints(LIGHT)}
text{font-family:${FONT};font-size:12px}.title{font-size:15px;font-weight:600}
@media(prefers-color-scheme:dark){${paints(DARK)}}`;

/**
 * A line plot as the text of an SVG file. It needs no other file and follows the reader's light or dark scheme.
 * Long series are thinned to what the picture can show: of each column of pixels the first, lowest, highest and last.
 *
 * @throws ArgumentError when no series has a point that can be shown
 */
export function linePlot(options: LinePlotOptions): string {
  const { title, xLabel, yLabel, series, logX = false, logY = false, width = 640, height = 400 } = options;
  const shown = (point: readonly [number, number]): boolean =>
    Number.isFinite(point[0]) && Number.isFinite(point[1]) && (!logX || point[0] > 0) && (!logY || point[1] > 0);
  const all = series.flatMap(({ points }) => points.filter(shown));
  if (all.length === 0) throw new ArgumentError(`linePlot: "${title}" has no point to show`);

  const legend = layOutLegend(series, width - 24);
  const left = 68;
  const top = 34;
  const right = width - 16;
  const bottom = height - 44 - legend.height;
  const xAxis = makeAxis(
    all.map(([x]) => x),
    logX,
    Math.max(2, Math.floor((right - left) / 80)),
    0,
  );
  const yAxis = makeAxis(
    all.map(([, y]) => y),
    logY,
    Math.max(2, Math.floor((bottom - top) / 45)),
    0.05,
  );
  const toX = (x: number): number => left + axisPosition(xAxis, x) * (right - left);
  const toY = (y: number): number => bottom - axisPosition(yAxis, y) * (bottom - top);

  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escapeMarkup(title)}</title><style>${STYLE}</style>`,
    `<rect class="bg" width="${width}" height="${height}"/>`,
    `<text class="ink title" x="${width / 2}" y="21" text-anchor="middle">${escapeMarkup(title)}</text>`,
    drawTicks(xAxis, yAxis, toX, toY, { left, top, right, bottom }),
    `<text class="ink" x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle">${escapeMarkup(xLabel)}</text>`,
    `<text class="ink" transform="translate(16 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeMarkup(yLabel)}</text>`,
  ];
  series.forEach(({ points, markers }, i) => {
    const runs = splitRuns(points, shown).map((run): Pixel[] => run.map(([x, y]) => [toX(x), toY(y)]));
    parts.push(...drawSeries(runs, markers, i));
  });
  parts.push(...drawLegend(legend.items, series, height - legend.height), '</svg>');
  return `${parts.join('\n')}\n`;
}

/** The line and the dots of a series. @param runs points without gaps between them, in pixels */
function drawSeries(runs: readonly Pixel[][], markers: PlotSeries['markers'], index: number): string[] {
  const parts: string[] = [];
  // Only lines are thinned, because their points are in the order of x.
  for (const run of markers === 'only' ? runs : runs.map(thin)) {
    if (run.length > 1 && markers !== 'only') {
      parts.push(`<polyline points="${run.map(pair).join(' ')}" ${strokeOf(index)}/>`);
    }
    // A single point has no line, so it gets a dot.
    if (markers || run.length === 1) parts.push(...run.map(([x, y]) => dot(round(x), round(y), index)));
  }
  return parts;
}

/** Place of an entry in the legend, and the number of its series. */
interface LegendItem {
  x: number;
  y: number;
  index: number;
}

/** The samples and names of the legend. @param top of the legend, in pixels */
function drawLegend(items: readonly LegendItem[], series: readonly PlotSeries[], top: number): string[] {
  return items.flatMap(({ x, y, index }) => {
    const { name, markers } = series[index];
    const line = `<path d="M${12 + x} ${top + y}h22" ${strokeOf(index)}/>`;
    return [
      markers === 'only' ? dot(12 + x + 11, top + y, index) : line,
      `<text class="ink" x="${12 + x + 28}" y="${top + y + 4}">${escapeMarkup(name)}</text>`,
    ];
  });
}

function drawTicks(
  xAxis: Axis,
  yAxis: Axis,
  toX: (x: number) => number,
  toY: (y: number) => number,
  { left, top, right, bottom }: { left: number; top: number; right: number; bottom: number },
): string {
  const parts: string[] = [];
  for (const { value, label } of xAxis.ticks) {
    const x = round(toX(value));
    parts.push(`<path class="grid" d="M${x} ${top}V${bottom}"/>`);
    parts.push(`<text class="ink" x="${x}" y="${bottom + 17}" text-anchor="middle">${label}</text>`);
  }
  for (const { value, label } of yAxis.ticks) {
    const y = round(toY(value));
    parts.push(`<path class="grid" d="M${left} ${y}H${right}"/>`);
    parts.push(`<text class="ink" x="${left - 7}" y="${y + 4}" text-anchor="end">${label}</text>`);
  }
  parts.push(`<path class="axis" d="M${left} ${top}V${bottom}H${right}"/>`);
  return parts.join('\n');
}

function strokeOf(index: number): string {
  const dash = DASHES[Math.floor(index / COLOURS.length) % DASHES.length];
  const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
  return `fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="1.8" stroke-linejoin="round"${dashes}`;
}

/** Full in the first seven series, a ring in those that repeat their colours. */
function dot(x: number, y: number, index: number): string {
  const colour = COLOURS[index % COLOURS.length];
  const paint = index < COLOURS.length ? `fill="${colour}"` : `fill="none" stroke="${colour}" stroke-width="1.6"`;
  return `<circle cx="${x}" cy="${y}" r="3" ${paint}/>`;
}

/** Names side by side below the plot, in as many lines as they need. */
function layOutLegend(series: readonly PlotSeries[], width: number) {
  const lineHeight = 18;
  const items: LegendItem[] = [];
  let x = 0;
  let line = 0;
  series.forEach(({ name }, index) => {
    // SVG text cannot be measured here. Common fonts need less than 7 pixels per letter on average.
    const needs = 28 + 7 * name.length + 18;
    if (x > 0 && x + needs > width) {
      x = 0;
      line++;
    }
    items.push({ x, y: line * lineHeight + lineHeight / 2, index });
    x += needs;
  });
  return { items, height: (line + 1) * lineHeight + 4 };
}

type Pixel = readonly [number, number];

function splitRuns(points: readonly Pixel[], shown: (point: Pixel) => boolean): Pixel[][] {
  const runs: Pixel[][] = [];
  let run: Pixel[] = [];
  for (const point of points) {
    if (shown(point)) {
      if (run.length === 0) runs.push(run);
      run.push(point);
    } else {
      run = [];
    }
  }
  return runs;
}

function thin(points: Pixel[]): Pixel[] {
  const kept: Pixel[] = [];
  for (let from = 0; from < points.length; ) {
    const column = Math.floor(points[from][0]);
    let to = from;
    let low = from;
    let high = from;
    while (to < points.length && Math.floor(points[to][0]) === column) {
      if (points[to][1] < points[low][1]) low = to;
      if (points[to][1] > points[high][1]) high = to;
      to++;
    }
    const indices = [...new Set([from, low, high, to - 1])].sort((a, b) => a - b);
    kept.push(...indices.map((i) => points[i]));
    from = to;
  }
  return kept;
}

function pair([x, y]: Pixel): string {
  return `${round(x)},${round(y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
