// Measurements as Markdown: three tables, and whether the targets of issue 4 are met.

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const fixed = (digits) => (value) => value.toFixed(digits);
const percent = (value) => `${(value * 100).toFixed(1)} %`;
const signed = (value) => `${value < 0 ? '' : '+'}${value.toFixed(2)}`;
const seconds = (value) => `${value.toFixed(2)} s`;
const mebibytes = (kib) => `${Math.round(kib / 1024)} MiB`;
const row = (...cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(...head), row(...head.map(() => '---')), ...rows.map((cells) => row(...cells))].join('\n');

/** The median of one figure over the rounds. */
const figure = (runs, of) => median(runs.map(of));
const FIGURES = [
  ['CPU, user + system', ({ cpu }) => cpu, seconds],
  ['wall time', ({ wall }) => wall, seconds],
  ['peak memory of the process', ({ peakKib }) => peakKib, mebibytes],
  ['peak memory above the idle process', ({ peakKib, idleKib }) => peakKib - idleKib, mebibytes],
];
const OUTPUTS = ['original.webp', 'medium.jpg', 'thumbnail.jpg'];
const FORMATS = ['avif', 'webp', 'jpg'];

function cost(results) {
  const rows = FIGURES.map(([name, of, unit]) => {
    const ratios = (side) => results.map(({ runs }) => figure(runs[side], of) / figure(runs.sharp, of));
    const cell = (side) => `${median(ratios(side)).toFixed(3)} (${Math.min(...ratios(side)).toFixed(2)} to ${Math.max(...ratios(side)).toFixed(2)})`;
    return [name, unit(median(results.map(({ runs }) => figure(runs.sharp, of)))), cell('three'), cell('nine')];
  });
  return table(['', 'sharp, three outputs', 'Tintype, the same three: ratio', 'Tintype, all nine: ratio'], rows);
}

function outputs(results) {
  const rows = OUTPUTS.map((output) => {
    const of = (side) => results.map((result) => result[side][output]);
    const differences = (judge) => results.map((result) => result.three[output][judge] - result.sharp[output][judge]);
    return [
      `\`${output}\``,
      percent(median(byteRatios(results, output))),
      percent(Math.max(...byteRatios(results, output))),
      mean(of('sharp').map(({ lanczos }) => lanczos)).toFixed(2),
      mean(of('three').map(({ lanczos }) => lanczos)).toFixed(2),
      `${signed(mean(differences('lanczos')))} (${signed(Math.min(...differences('lanczos')))})`,
      output.startsWith('original') ? '' : `${signed(mean(differences('area')))} (${signed(Math.min(...differences('area')))})`,
    ];
  });
  const head = ['', 'bytes, median', 'largest', 'score: sharp', 'Tintype', 'difference, mean (least)', 'area reference'];
  return table(head, rows);
}

const byteRatios = (results, output) => results.map((result) => result.three[output].bytes / result.sharp[output].bytes);

function files(results) {
  const rows = results.map((result) => {
    const { name, megapixels, runs } = result;
    const cpu = (side) => figure(runs[side], ({ cpu }) => cpu);
    const peak = (side) => figure(runs[side], ({ peakKib }) => peakKib);
    const [ours, theirs] = ['three', 'sharp'].map((side) => result[side]['original.webp']);
    return [
      name,
      megapixels.toFixed(1),
      seconds(cpu('sharp')),
      (cpu('three') / cpu('sharp')).toFixed(3),
      (cpu('nine') / cpu('sharp')).toFixed(3),
      mebibytes(peak('sharp')),
      (peak('three') / peak('sharp')).toFixed(2),
      (peak('nine') / peak('sharp')).toFixed(2),
      percent(ours.bytes / theirs.bytes),
      signed(ours.lanczos - theirs.lanczos),
    ];
  });
  return table(
    ['photograph', 'MP', 'sharp: CPU', 'three', 'nine', 'sharp: memory', 'three', 'nine', 'WebP: bytes', 'score'],
    rows,
  );
}

function compression(results) {
  const rows = FORMATS.map((format) => {
    const of = results.map((result) => ({ upload: result.upload, ...result.nine[`original.${format}`] }));
    const scores = of.map(({ lanczos }) => lanczos);
    const shares = of.map(({ bytes, upload }) => bytes / upload);
    const total = of.reduce((sum, { bytes }) => sum + bytes, 0) / of.reduce((sum, { upload }) => sum + upload, 0);
    return [format, percent(1 - mean(shares)), percent(1 - total), percent(1 - Math.max(...shares)), mean(scores).toFixed(1), Math.min(...scores).toFixed(1)];
  });
  return table(['`original`', 'smaller, mean', 'all files together', 'least', 'score, mean', 'least'], rows);
}

function growing(growth) {
  const rows = growth.flatMap(({ name, megapixels, runs }) => {
    const cells = ['sharp', 'three', 'nine'].map((side) => {
      const cpu = figure(runs[side], ({ cpu }) => cpu);
      const peak = figure(runs[side], ({ peakKib }) => peakKib);
      return [seconds(cpu), `${Math.round((cpu / megapixels) * 1000)} ms`, mebibytes(peak), `${(peak / 1024 / megapixels).toFixed(1)}`];
    });
    return [[name, ...cells.flat()]];
  });
  const side = (name) => [`${name}: CPU`, 'per MP', 'memory', 'MiB per MP'];
  return table(['', ...side('sharp'), ...side('three'), ...side('nine')], rows);
}

function targets(results) {
  const ratio = (side, of) => median(results.map(({ runs }) => figure(runs[side], of) / figure(runs.sharp, of)));
  const cpu = ({ cpu }) => cpu;
  const peak = ({ peakKib }) => peakKib;
  const rows = [];
  const target = (text, value, met) => rows.push([text, value, met ? 'met' : '**not met**']);
  const three = ratio('three', cpu);
  target('three outputs: at most a third of the CPU', three.toFixed(3), three <= 1 / 3);
  const nine = ratio('nine', cpu);
  target('all nine: no more CPU than sharp needs for three', nine.toFixed(3), nine <= 1);
  const memory = ratio('three', peak);
  target('three outputs: at most half of the memory', memory.toFixed(3), memory <= 0.5);
  const all = ratio('nine', peak);
  target('all nine: at most half of the memory', all.toFixed(3), all <= 0.5);
  for (const output of OUTPUTS) {
    const bytes = median(byteRatios(results, output));
    target(`\`${output}\`: at most 3 % more bytes`, percent(bytes), bytes <= 1.03);
    const difference = mean(results.map((result) => result.three[output].lanczos - result.sharp[output].lanczos));
    target(`\`${output}\`: a score no worse`, signed(difference), difference >= 0);
  }
  const best = FORMATS.map((format) => {
    const of = results.map((result) => ({ upload: result.upload, ...result.nine[`original.${format}`] }));
    const score = mean(of.map(({ lanczos }) => lanczos));
    return { format, score, smaller: 1 - mean(of.map(({ bytes, upload }) => bytes / upload)) };
  }).filter(({ score }) => Number(score.toFixed(1)) >= 70);
  const top = best.sort((a, b) => b.smaller - a.smaller)[0];
  const text = top ? `${percent(top.smaller)} (${top.format}, score ${top.score.toFixed(1)})` : 'no format scores 70';
  target('`original` in the best format: 75 % smaller than the upload at a score of 70', text, top?.smaller >= 0.75);
  return table(['target', 'measured', ''], rows);
}

/** How much the CPU time of the same work on the same file differed between rounds. */
function noise(results) {
  const spread = ({ runs }, side) => {
    const times = runs[side].map(({ cpu }) => cpu);
    return Math.max(...times) / Math.min(...times) - 1;
  };
  return ['sharp', 'three', 'nine'].map((side) => percent(median(results.map((result) => spread(result, side))))).join(', ');
}

function jail(results) {
  const measured = results.filter(({ jail }) => jail);
  if (measured.length === 0) return [];
  const more = median(measured.map(({ jail, runs }) => jail.cpu / figure(runs.nine, ({ cpu }) => cpu)));
  return [`\`tintype transcode\`, which renders all nine in a confined child process and writes them to disk, took ${more.toFixed(2)} times the CPU of rendering alone (median, one run for each file, process start included).`];
}

export function report({ photographs, rounds, threads, results, growth, date, machine, versions }) {
  const what = photographs ? `${results.length} photographs of 8 MP and more` : `${results.length} generated pictures of 12 MP (no photographs were given)`;
  return [
    `${date}; ${machine}; ${versions}. ${what}, ${rounds} rounds, the sides in turn on each file; a figure of a file is the median of its rounds, a ratio the median over the files (least to largest). Tintype on ${threads} threads. Between rounds the CPU time of the same work spread by ${noise(results)} (sharp, three, nine; median over the files).`,
    '### Targets',
    targets(results),
    '### Cost',
    cost(results),
    ...jail(results),
    '### The three outputs',
    outputs(results),
    '### Each photograph',
    files(results),
    '### `original` against the upload',
    compression(results),
    '### Growth',
    growing(growth),
  ].join('\n\n');
}
