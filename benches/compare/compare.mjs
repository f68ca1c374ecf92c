// Runs the reference image handler (handler.mjs, sharp) and Tintype (examples/measure.rs) on the same files in turn, and
// prints ratios, scores and whether the targets are met, as Markdown. `make bench-sharp` starts it.
//
//   node compare.mjs --measure BINARY [--photos DIR] [--rounds N] [--tintype BINARY] [--write FILE]
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import sharp from 'sharp';
import { report } from './report.mjs';
import { generated, photographs, sizes } from './sources.mjs';

const { values: options } = parseArgs({
  options: {
    measure: { type: 'string' },
    photos: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    tintype: { type: 'string' },
    write: { type: 'string' },
  },
});
const here = dirname(fileURLToPath(import.meta.url));
const rounds = Number(options.rounds);
const threads = String(availableParallelism());
const scratch = await mkdtemp(join(tmpdir(), 'tintype-compare-'));

const run = async (program, ...args) => {
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 1 << 24 });
  return stdout;
};
const note = (text) => process.stderr.write(`${text}\n`);
const node = (script, ...args) => run(process.execPath, join(here, script), ...args);

// Each in a process of its own, so that the peak of memory is that of one picture.
const sides = {
  sharp: (file, ...folder) => node('handler.mjs', file, ...folder),
  three: (file, ...folder) => run(options.measure, 'render', file, 'reference', threads, ...folder),
  nine: (file, ...folder) => run(options.measure, 'render', file, 'default', threads, ...folder),
};

/** Runs every side on every picture, round after round; the sides take turns on each picture. */
async function measure(pictures, keep) {
  const runs = new Map(pictures.map(({ name }) => [name, { sharp: [], three: [], nine: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, file } of pictures) {
      note(`round ${round + 1} of ${rounds}: ${name}`);
      for (const side of Object.keys(sides)) {
        const folder = join(scratch, name, side);
        if (keep && round === 0) await mkdir(folder, { recursive: true });
        const line = await sides[side](file, ...(keep && round === 0 ? [folder] : []));
        runs.get(name)[side].push(JSON.parse(line));
      }
    }
  }
  return runs;
}

/** SSIMULACRA2 of everything that was kept, and bytes. */
async function score({ name, file }, runs) {
  note(`scoring ${name}`);
  const original = join(scratch, name, 'upload.ppm');
  const renditions = Object.keys(sides).flatMap((side) =>
    Object.keys(runs[side][0].outputs).map((output) => ({ side, output, file: join(scratch, name, side, output) })),
  );
  await node('decode.mjs', file, original, ...renditions.flatMap(({ file }) => [file, `${file}.ppm`]));
  const scores = JSON.parse(await run(options.measure, 'score', original, ...renditions.map(({ file }) => `${file}.ppm`)));
  const result = { upload: (await stat(file)).size };
  renditions.forEach(({ side, output }, at) => {
    result[side] ??= {};
    result[side][output] = { bytes: runs[side][0].outputs[output], ...scores[at] };
  });
  await rm(join(scratch, name), { recursive: true });
  return result;
}

/** CPU of `tintype transcode`, which renders in a confined child process, with all its children. */
async function confined({ file }) {
  const folder = join(scratch, 'confined');
  const script = 'start=$(date +%s%N); "$0" transcode "$1" --out "$2" >/dev/null; echo $(($(date +%s%N) - start)); times';
  const output = await run('bash', '-c', script, options.tintype, file, folder);
  const lines = output.trim().split('\n');
  const cpu = [...lines.at(-1).matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
  await rm(folder, { recursive: true });
  return { cpu, wall: Number(lines[0]) / 1e9 };
}

try {
  const found = options.photos ? await photographs(options.photos) : await generated(join(scratch, 'sources'));
  if (found.length === 0) throw new Error(`no photograph of 8 megapixels or more in ${options.photos}`);
  const runs = await measure(found, true);
  const results = [];
  for (const picture of found) {
    const side = runs.get(picture.name);
    const jail = options.tintype ? await confined(picture) : undefined;
    results.push({ ...picture, runs: side, jail, ...(await score(picture, side)) });
  }
  const growing = await sizes(found[0].file, join(scratch, 'sizes'));
  const growth = await measure(growing, false);
  const text = report({
    photographs: Boolean(options.photos),
    rounds,
    threads,
    results,
    growth: growing.map((picture) => ({ ...picture, runs: growth.get(picture.name) })),
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0].model}, ${cpus().length} CPUs`,
    versions: `node ${process.versions.node}, sharp ${sharp.versions.sharp} (libvips ${sharp.versions.vips}, libwebp ${sharp.versions.webp})`,
  });
  console.log(text);
  if (options.write) {
    const page = await readFile(options.write, 'utf8');
    const marked = /(<!-- bench-sharp: begin -->\n)[^]*(<!-- bench-sharp: end -->)/;
    if (!marked.test(page)) throw new Error(`${options.write} has no marks to write between`);
    await writeFile(options.write, page.replace(marked, (_, begin, end) => `${begin}\n${text}\n\n${end}`));
  }
} finally {
  await rm(scratch, { recursive: true, force: true });
}
