import { uniform } from './bindings.js';

/** Channels in one load. */
export type ChannelWidth = 1 | 2 | 4;

/**
 * The uniform of a kernel that walks an array [rows, channels] and needs something for each channel. An invocation owns a
 * group of `width` adjacent channels, loads what belongs to them once, and visits every `parts`-th row: its loop is long,
 * its sums stay in registers, and neighbouring invocations read neighbouring memory. Invocation i has group
 * i % groups; groups = channels / width, threads = parts · groups. One pipeline serves every shape.
 */
export const walkPlan = /* @__PURE__ */ uniform({ rows: 'u32', groups: 'u32', parts: 'u32', threads: 'u32' });
