// The same under njs, the engine family of CloudFront's runtime. Debian's 0.7.9 takes less syntax than runtime 2.0
// does, so what passes here is understood there.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { requestEvent, responseEvent } = require('./cloudfront.js');
const { acceptCases, agree, fuzzCases, inFolder, pathCases, render, seed } = require('./vectors.js');

// Written in what njs understands. Through files, since njs cuts what it prints at 2,048 characters.
const DRIVER = `
const fs = require('fs');
const cases = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const results = cases.map(function (event) { return handler(event); });
fs.writeFileSync(process.argv[3], JSON.stringify(results));
`;

function run(code, events) {
  return inFolder((folder) => {
    const script = path.join(folder, 'function.js');
    const cases = path.join(folder, 'cases.json');
    fs.writeFileSync(script, code + DRIVER);
    fs.writeFileSync(cases, JSON.stringify(events));
    const results = path.join(folder, 'results.json');
    execFileSync('njs', [script, cases, results], { stdio: 'pipe' });
    return JSON.parse(fs.readFileSync(results, 'utf8'));
  });
}

function check(code, cases) {
  const events = cases.map(({ path: target, accept }) =>
    requestEvent({ target, headers: (accept ?? []).map((line) => ['Accept', line]) }),
  );
  const results = run(code, events);
  cases.forEach(({ path: target, accept, expected }, index) => {
    agree(results[index], expected, JSON.stringify({ target, accept }));
  });
}

test('njs agrees on every Accept header', () => {
  const { cases, toml } = acceptCases();
  check(render(toml).request, cases);
});

test('njs agrees on every path', () => {
  check(render().request, pathCases());
});

test('njs agrees on random requests', (context) => {
  const number = seed();
  context.diagnostic(`TINTYPE_SEED=${number}`);
  for (const { code, cases } of fuzzCases(10_000, number)) {
    check(code, cases);
  }
});

test('njs runs the response function', () => {
  const events = [200, 206, 304, 404].map((status) =>
    responseEvent({ status, headers: [['Cache-Control', 'public, max-age=86400']] }),
  );
  const values = run(render().response, events).map((response) => response.headers['cache-control'].value);
  const immutable = 'public, max-age=31536000, immutable';
  assert.deepStrictEqual(values, [immutable, immutable, immutable, 'public, max-age=86400']);
});

test('njs sends a client to the stand-in that it takes', () => {
  const query = { path: '/img/a/medium', takes: 'webp,jpg' };
  const event = responseEvent({ status: 200, headers: [['x-amz-meta-tintype-stand-ins', 'png,webp']], query });
  const [result] = run(render().image, [event]);
  assert.deepStrictEqual([result.statusCode, result.headers.location.value], [302, '/img/a/medium.webp']);
});

test('njs refuses what runtime 2.0 may not understand', () => {
  for (const modern of ['for (const a of []) {}', 'const { a } = {};', 'const a = {}?.b;', 'class A {}']) {
    assert.throws(() => run(`${modern}\nfunction handler(event) { return event; }`, []), modern);
  }
});
