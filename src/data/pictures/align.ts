/** Alignment is below this layer, so that it runs in browsers beside the detector. */
export * from '../../detection/align.js';
