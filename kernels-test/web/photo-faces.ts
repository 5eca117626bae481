import { basename, join } from 'node:path';
import type { Page } from 'puppeteer-core';
import sharp from 'sharp';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import type { FaceLandmarks, Point } from '../../src/detection/align.js';
import { landmarkError } from '../../src/evaluation/metrics/landmarks.js';
import { waitForText } from '../browser/browser-page.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS } from '../helpers/data-available.js';
import { choose } from './web-fixture.js';

/** A photograph of npm @vladmandic/face-api, by number from 1. */
export const demoPhoto = (k: number): string => join(DEMO_PHOTOS, `sample${k}.jpg`);

/** Where the faces of each photograph are, by its name. */
export const demoFaces = await readLandmarks(DEMO_LANDMARKS);

/** Landmarks no farther from the true ones than this are those of the same face: mean distance over that of the eyes. */
const SAME_FACE = 0.25;

export const isAmong = (faces: readonly FaceLandmarks[], truth: FaceLandmarks): boolean =>
  faces.some((face) => landmarkError(face, truth) < SAME_FACE);

/** The five points of a place, in whole pixels of the picture. */
export async function pointsIn(page: Page, place: string): Promise<FaceLandmarks> {
  const labels = await page.$$eval(`${place} .handle`, (all) => all.map((one) => one.getAttribute('aria-label')!));
  const points = labels.slice(0, 5).map((label): Point => {
    const [x, y] = /, at (-?\d+), (-?\d+)$/.exec(label)!.slice(1).map(Number);
    return [x, y];
  });
  return points as unknown as FaceLandmarks;
}

/** Gives a place a picture, and waits for the end of the search. @returns what the page says of it */
export async function lookIn(page: Page, place: string, file: string): Promise<string> {
  await choose(page, `${place} [type=file]`, file);
  await page.waitForSelector(`${place} .photo[aria-label*="${basename(file)}"]`);
  return waitForText(page, `${place} .hint`, /found/);
}

/** The points of each face of a place, by choosing each box. */
export async function facesIn(page: Page, place: string): Promise<FaceLandmarks[]> {
  const boxes = await page.$$(`${place} .box`);
  if (boxes.length === 0) return [await pointsIn(page, place)];
  const faces: FaceLandmarks[] = [];
  for (const box of boxes) {
    await box.evaluate((button) => (button as HTMLElement).click());
    faces.push(await pointsIn(page, place));
  }
  return faces;
}

/** A part of a photograph as a picture of 640×480, in JPEG. */
export const cameraFrame = (file: string, left: number, top: number): Promise<Buffer> =>
  sharp(file).extract({ left, top, width: 960, height: 720 }).resize(640, 480).jpeg({ quality: 90 }).toBuffer();
