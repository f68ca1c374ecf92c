// What the worst requests cost the request function, as ratios to a plain one: `scripts/bench-functions`.
//
// Times are the least of several rounds, each of them in a process of its own under njs, which frees no memory before its
// end. Ends with status 1 when a ratio is above its limit, which stands behind it.
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { evaluate, requestEvent } = require('./cloudfront.js');
const { inFolder, render } = require('./vectors.js');
const { CHROME, WORST } = require('./worst.js');

const LIMIT = 3;
// Keys of a thousand characters that no built-in function escapes: nobody names a file so, and anybody may ask for it. The
// key is split at each of them.
const HOSTILE = ['a key of apostrophes', 'a key of folders and apostrophes', "a key of !'()* in turn"];
const HOSTILE_LIMIT = { Node: 8, njs: 4 };
const ROUNDS = 7;
const PLAIN = [
  'a plain request',
  '/img/products/2026/11/running-shoes-blue-side-view_1200x800.jpg/medium',
  CHROME,
];

const RUNS = { node: 10_000, njs: 20 };

const eventOf = ([, target, accept]) => JSON.stringify(requestEvent({ target, headers: [['Accept', accept]] }));

/// Microseconds of one call under Node.
function inNode(code, request) {
  const handler = evaluate(code, 'handler');
  const events = Array.from({ length: RUNS.node }, () => JSON.parse(eventOf(request)));
  const start = process.hrtime.bigint();
  for (const event of events) {
    handler(event);
  }
  return Number(process.hrtime.bigint() - start) / 1000 / RUNS.node;
}

/// Microseconds of one call under njs.
function inNjs(code, request) {
  const driver = `
const text = ${JSON.stringify(eventOf(request))};
const events = [];
for (let i = 0; i <= ${RUNS.njs}; i++) { events.push(JSON.parse(text)); }
handler(events[${RUNS.njs}]);
console.time('all');
for (let i = 0; i < ${RUNS.njs}; i++) { handler(events[i]); }
console.timeEnd('all');
`;
  return inFolder((folder) => {
    const script = path.join(folder, 'bench.js');
    fs.writeFileSync(script, code + driver);
    const said = execFileSync('njs', [script], { encoding: 'utf8' });
    return (Number(/all: ([0-9.]+)ms/.exec(said)[1]) * 1000) / RUNS.njs;
  });
}

/// The least time of a request and that of the plain one, measured in turn, so that what else the machine does meets both.
function compare(measure, code, request) {
  const least = { request: Infinity, plain: Infinity };
  for (let round = 0; round < ROUNDS; round += 1) {
    least.plain = Math.min(least.plain, measure(code, PLAIN));
    least.request = Math.min(least.request, measure(code, request));
  }
  return least;
}

const code = render().request;
const engines = { Node: inNode, njs: inNjs };
let tooSlow = 0;
for (const request of [PLAIN, ...WORST]) {
  const columns = Object.entries(engines).map(([engine, measure]) => {
    const least = compare(measure, code, request);
    const ratio = least.request / least.plain;
    const limit = HOSTILE.includes(request[0]) ? HOSTILE_LIMIT[engine] : LIMIT;
    tooSlow += ratio > limit ? 1 : 0;
    return `${engine} ${least.request.toFixed(1).padStart(6)} us ${ratio.toFixed(1).padStart(5)} of ${limit}`;
  });
  console.log(`${request[0].padEnd(34)} ${columns.join('   ')}`);
}
process.exitCode = tooSlow > 0 ? 1 : 0;
