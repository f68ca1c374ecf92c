// Decodes pictures with sharp, so that one decoder reads what both sides made and the upload that they are compared
// with: sRGB, no alpha, as binary PPM. `node decode.mjs FROM TO [FROM TO]...`
import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';

const files = process.argv.slice(2);
for (let at = 0; at < files.length; at += 2) {
  const { data, info } = await sharp(files[at], { limitInputPixels: false })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`${files[at]}: ${info.channels} channels`);
  await writeFile(files[at + 1], Buffer.concat([Buffer.from(`P6 ${info.width} ${info.height} 255\n`), data]));
}
