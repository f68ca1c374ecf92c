// The reference image handler: one upload, three outputs, each from its own pipeline, in parallel. Prints what that
// took. `node handler.mjs FILE [DIR]` writes the outputs to DIR.
import { readFile, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

const [file, folder] = process.argv.slice(2);
const upload = await readFile(file);

// The most memory that was resident at any time, as measure.rs reads it.
const peakKib = () => Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);

const idleKib = peakKib();
const cpuBefore = process.cpuUsage();
const wallBefore = process.hrtime.bigint();
const [webp, thumbnail, medium] = await Promise.all([
  sharp(upload).webp({ quality: 80 }).toBuffer(),
  sharp(upload).resize(300, 300, { fit: 'inside', withoutEnlargement: true }).jpeg({ quality: 80 }).toBuffer(),
  sharp(upload).resize(800, 600, { fit: 'inside', withoutEnlargement: true }).jpeg({ quality: 85 }).toBuffer(),
]);
const wall = Number(process.hrtime.bigint() - wallBefore) / 1e9;
const cpuAfter = process.cpuUsage(cpuBefore);

const outputs = { 'original.webp': webp, 'medium.jpg': medium, 'thumbnail.jpg': thumbnail };
if (folder) {
  await Promise.all(Object.entries(outputs).map(([name, bytes]) => writeFile(join(folder, name), bytes)));
}
console.log(
  JSON.stringify({
    cpu: (cpuAfter.user + cpuAfter.system) / 1e6,
    wall,
    peakKib: peakKib(),
    idleKib,
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, bytes]) => [name, bytes.length])),
  }),
);
