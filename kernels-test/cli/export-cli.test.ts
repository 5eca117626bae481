// adapters: once
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CameoFace } from '../../src/models/cameo-face.js';
import { writeRecognizer } from '../../src/models/recognizer-file.js';
import { saveState } from '../../src/nn/state.js';
import { readOnnxFile } from '../onnx/export/onnx-reader.js';
import { sharedGpu } from '../runner/shared-gpu.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const read = (name: string) => readOnnxFile(new Uint8Array(readFileSync(at(name))));

test('each network of the shipped weights becomes an ONNX file that says what its pictures are', async () => {
  const inputs = {
    recognizer: { faces: ['batch', 112, 96, 3] },
    detector: { pictures: ['batch', 96, 128, 3] },
    landmarks: { crops: ['batch', 64, 64, 3] },
    synthesis: { values: ['batch', 2048], q_index: ['batch', 1] },
  };
  for (const [network, expected] of Object.entries(inputs)) {
    const size = network === 'detector' ? ['--size', '128x96'] : [];
    const { code, stderr, stdout } = await cameoHere(['export', network, '-o', at('out.onnx'), ...size]);
    assert.is(code, 0, stderr);
    assert.match(stdout, /models\/.*\.safetensors → .*out\.onnx \(\d+ bytes\)/);
    const { inputs: found, metadata, opset } = read('out.onnx');
    assert.equal(found, expected);
    assert.is(opset, 17);
    assert.is(metadata.network, network);
    assert.is(metadata.channels, 'RGB');
    assert.match(metadata.weights, /^[0-9a-f]{8}$/);
  }
});

test('a weights file is exported by what it holds, with the layout and opset that are asked for', async () => {
  const gpu = await sharedGpu();
  const config = { width: 16, height: 16, dimension: 4, channels: [2, 2, 2, 2], units: [0, 0, 0, 0] } as const;
  const net = new CameoFace({ ...config }).initialize(gpu, 1);
  const description = { architecture: 'cameo-face', ...config } as const;
  writeFileSync(at('small.safetensors'), writeRecognizer(description, await saveState(net)));
  net.dispose();
  const options = ['--layout', 'nchw', '--opset', '18'];
  const run = await cameoHere(['export', at('small.safetensors'), '-o', at('small.onnx'), ...options]);
  assert.is(run.code, 0, run.stderr);
  const { inputs, opset, metadata } = read('small.onnx');
  assert.equal(inputs, { faces: ['batch', 3, 16, 16] });
  assert.is(opset, 18);
  assert.is(metadata.layout, 'nchw');
});

test('what cannot be exported is refused', async () => {
  const messages: [RegExp, string[]][] = [
    [/network cat: expected recognizer, detector, landmarks, synthesis, or a file \.safetensors/, ['cat']],
    [/--size is 100x100; expected WIDTHxHEIGHT, multiples of 32/, ['detector', '--size', '100x100']],
    [/weights are read from a file/, ['-']],
    [/none\.safetensors/, ['none.safetensors', '-o', at('none.onnx')]],
    [
      /small\.safetensors is an input and would be overwritten/,
      [at('small.safetensors'), '-o', at('small.safetensors')],
    ],
    [/from 17 to 21/, ['recognizer', '--opset', '9']],
  ];
  for (const [message, words] of messages) {
    const { code, stderr } = await cameoHere(['export', ...words]);
    assert.is(code, 1);
    assert.match(stderr, message);
  }
});

test.run();
