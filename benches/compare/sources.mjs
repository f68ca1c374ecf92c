// The pictures to measure with: photographs of a folder, or generated ones; and one picture in growing sizes.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import sharp from 'sharp';

// A camera's "8 megapixels" are 3264 by 2448.
const LEAST_PIXELS = 3264 * 2448;

/** Photographs of a folder that are large enough and stored upright (the reference handler turns nothing). */
export async function photographs(folder) {
  const found = [];
  for (const name of (await readdir(folder)).sort()) {
    const file = join(folder, name);
    const about = await sharp(file).metadata().catch(() => undefined);
    if (!about || about.width * about.height < LEAST_PIXELS) continue;
    if ((about.orientation ?? 1) !== 1 || about.hasAlpha) continue;
    found.push({ name, file, megapixels: (about.width * about.height) / 1e6 });
  }
  return found;
}

/** Where there are no photographs: value noise in octaves, which has about as many details as a photograph. */
export async function generated(folder) {
  await mkdir(folder, { recursive: true });
  const found = [];
  for (const [seed, roughness] of [[1, 0.45], [2, 0.55], [3, 0.62]]) {
    const [width, height] = [4000, 3000];
    const layers = [];
    for (let size = 4, strength = 1; size < width; size *= 2, strength *= roughness) {
      layers.push({ size, strength });
    }
    let picture = new Float32Array(width * height * 3);
    for (const { size, strength } of layers) {
      const small = { width: size, height: Math.ceil((size * 3) / 4), channels: 3 };
      const noise = random(seed * 7919 + size, small.width * small.height * 3);
      const large = await sharp(noise, { raw: small }).resize(width, height, { fit: 'fill', kernel: 'cubic' }).raw().toBuffer();
      for (let at = 0; at < picture.length; at++) picture[at] += (large[at] - 128) * strength;
    }
    const data = Buffer.from(Uint8ClampedArray.from(picture, (value) => 128 + value * 0.8));
    const file = join(folder, `generated-${seed}.jpg`);
    await sharp(data, { raw: { width, height, channels: 3 } }).jpeg({ quality: 92 }).toFile(file);
    found.push({ name: basename(file), file, megapixels: 12 });
  }
  return found;
}

function random(seed, length) {
  let state = seed >>> 0;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

/** One megapixel from the middle of a picture, and larger pictures made of its mirror images: equally busy everywhere. */
export async function sizes(file, folder) {
  await mkdir(folder, { recursive: true });
  const about = await sharp(file).metadata();
  const [width, height] = [1152, 864];
  const left = Math.floor((about.width - width) / 2);
  const top = Math.floor((about.height - height) / 2);
  const tile = await sharp(file).extract({ left, top, width, height }).toColourspace('srgb').png().toBuffer();
  const found = [];
  for (const [wide, high] of [[1152, 864], [4000, 3000], [5660, 4240], [8160, 6120]]) {
    const name = `${Math.round((wide * high) / 1e6)} MP`;
    const larger = join(folder, `${wide}x${high}.jpg`);
    const more = { right: wide - width, bottom: high - height, extendWith: 'mirror' };
    await sharp(tile).extend(more).jpeg({ quality: 92 }).toFile(larger);
    found.push({ name, file: larger, megapixels: (wide * high) / 1e6 });
  }
  return found;
}
