// The vectors that the edge and the functions share, and the functions as the build tool renders them.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const BINARIES = process.env.TINTYPE_BIN ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'debug');

function binary(name) {
  const file = path.join(BINARIES, name);
  assert.ok(fs.existsSync(file), `${file} is missing: run scripts/test-functions`);
  return file;
}

/// Calls `use` with a folder that is removed afterwards.
function inFolder(use) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tintype-functions-'));
  try {
    return use(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/// The rendered functions for a recipe written in TOML, or for the default one.
function render(toml, ...options) {
  return inFolder((folder) => {
    const words = ['--out', folder, ...options];
    if (toml !== undefined) {
      fs.writeFileSync(path.join(folder, 'tintype.toml'), toml);
      words.push('--config', path.join(folder, 'tintype.toml'));
    }
    execFileSync(binary('tintype-render-functions'), words, { stdio: ['ignore', 'ignore', 'pipe'] });
    const read = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
    return { request: read('viewer-request.js'), image: read('image-response.js'), response: read('versioned-response.js') };
  });
}

function rows(name) {
  const text = fs.readFileSync(path.join(ROOT, 'crates/edge/tests/vectors', name), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('# '));
  return lines.map((line) => {
    const columns = line.split('\t');
    assert.strictEqual(columns.length, 3, line);
    return columns;
  });
}

const EXTENSIONS = { jxl: 'jxl', avif: 'avif', webp: 'webp', jpeg: 'jpg', png: 'png' };

/// The rows of accept.tsv as cases, and a recipe that has a variant for each set of formats in it.
function acceptCases() {
  const variants = new Map();
  const cases = rows('accept.tsv').map(([accept, formats, format]) => {
    const name = formats.replaceAll(',', '-');
    variants.set(name, formats.split(','));
    return {
      path: `/img/a/${name}`,
      accept: [accept.replaceAll('\\t', '\t')],
      expected: { uri: `/a/${name}.${EXTENSIONS[format]}`, version: null },
    };
  });
  const toml = [...variants].map(([name, formats]) => `[[variant]]\nname = "${name}"\nformats = ${JSON.stringify(formats)}\n`);
  return { cases, toml: toml.join('') };
}

/// The rows of paths.tsv as cases for the default recipe.
function pathCases() {
  return rows('paths.tsv').map(([raw, outcome, version]) => ({
    path: raw,
    accept: ['image/webp'],
    expected: outcome.startsWith('/')
      ? { uri: outcome, version: version === '-' ? null : version }
      : { status: Number(outcome) },
  }));
}

/// Random cases with what the edge's rules make of them: [{ code, cases }], one for each recipe.
function fuzzCases(count, seed) {
  const output = execFileSync(binary('examples/function_vectors'), [String(count), String(seed)], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  const recipes = [];
  for (const line of output.trimEnd().split('\n')) {
    const entry = JSON.parse(line);
    if (entry.code !== undefined) {
      recipes[entry.recipe] = { code: entry.code, cases: [] };
    } else {
      recipes[entry.recipe].cases.push(entry);
    }
  }
  return recipes;
}

/// The seed of this run: TINTYPE_SEED repeats one.
function seed() {
  return process.env.TINTYPE_SEED ?? String(Math.floor(Math.random() * 2 ** 32));
}

/// What a function's result comes to, in the form of a case's `expected`.
function outcome(result) {
  if (result.statusCode !== undefined) {
    return { status: result.statusCode };
  }
  return { uri: result.uri, version: result.headers['x-tintype-version']?.value ?? null };
}

/// What a request goes on with for the response function, in the form of a case's `expected.offer`.
function offerOf(result) {
  const { path, takes, ...others } = result.querystring;
  assert.deepStrictEqual(others, {});
  return path === undefined && takes === undefined ? null : { path: path.value, takes: takes.value };
}

/// Checks a result against a case's `expected`; the tables say nothing of offers.
function agree(result, { offer, ...expected }, message) {
  assert.deepStrictEqual(outcome(result), expected, message);
  if (offer !== undefined) {
    assert.deepStrictEqual(offerOf(result), offer, message);
  }
}

module.exports = { acceptCases, agree, fuzzCases, inFolder, offerOf, outcome, pathCases, render, seed };
