/** (x, y) in pixels: x to the right, y downwards, (0, 0) at the centre of the top left pixel. */
export type Point = readonly [number, number];

/** Left eye, right eye, tip of the nose, left and right corner of the mouth; left and right as seen in the picture. */
export type FaceLandmarks = readonly [Point, Point, Point, Point, Point];
