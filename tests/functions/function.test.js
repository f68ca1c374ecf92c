// What CloudFront asks of a function, and what the functions do beyond choosing a path.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { checkRequestResult, evaluate, load, requestEvent, responseEvent } = require('./cloudfront.js');
const { offerOf, outcome, render } = require('./vectors.js');
const { WORST } = require('./worst.js');

const VERSION = '0123456789abcdef0123456789abcdef';
const { request, image, response } = render();
const handle = load(request);
const respond = load(response);
const respondImage = load(image);

function ask(target, headers = [], method = 'GET') {
  const event = requestEvent({ method, target, headers });
  return checkRequestResult(event, handle(event));
}

test('all functions fit into 10 KB, with room for a larger recipe', () => {
  assert.ok(Buffer.byteLength(request) <= 6400, `${Buffer.byteLength(request)} bytes`);
  assert.ok(Buffer.byteLength(image) <= 2560, `${Buffer.byteLength(image)} bytes`);
  assert.ok(Buffer.byteLength(response) <= 2560, `${Buffer.byteLength(response)} bytes`);
  const variants = Array.from({ length: 50 }, (_, number) => `[[variant]]\nname = "variant-${number}"\n`);
  assert.ok(Buffer.byteLength(render(variants.join('')).request) <= 10_240);
});

test('a recipe that does not fit is an error that says so', () => {
  const variants = (name, formats) =>
    Array.from({ length: 100 }, (_, number) => `[[variant]]\nname = "${name}-${number}"\n${formats}\n`).join('');
  assert.throws(
    () => render(variants('v'.repeat(60), 'formats = ["jpeg"]')),
    (error) => /does not fit into CloudFront Function viewer-request\.js/.test(error.stderr.toString()),
  );
  // Its records would not fit into DynamoDB's items either.
  assert.throws(
    () => render(variants('variant', '')),
    (error) => /300 renditions .* fewer variants or formats/.test(error.stderr.toString()),
  );
});

test('the functions use no language beyond ES5.1, const, let, and no dynamic code', () => {
  for (const code of [request, image, response]) {
    assert.doesNotMatch(code, /\b(eval|Function|import|require|class|async|of)\b|=>|\?\.|\.\.\.|`/);
  }
});

test('what the client takes besides goes along when no format is named, and nothing of its own query', () => {
  const chrome = [['Accept', 'image/avif,image/webp,image/apng,image/*,*/*;q=0.8']];
  const offer = (target, headers = chrome) => offerOf(ask(target, headers));
  for (const query of ['', '?path=/img/b/medium&takes=avif', '?takes=webp&takes=jpg']) {
    assert.deepStrictEqual(offer(`/img/a%2bb/medium${query}`), { path: '/img/a%2Bb/medium', takes: 'webp,jpg' });
    assert.deepStrictEqual(offer(`/v/a/${VERSION}/medium${query}`), { path: `/v/a/${VERSION}/medium`, takes: 'webp,jpg' });
    assert.strictEqual(offer(`/img/a/medium.avif${query}`), null);
    assert.strictEqual(offer(`/img/a/medium${query}`, [['Accept', 'image/avif']]), null);
    assert.strictEqual(offer(`/img/a/medium${query}`, []), null);
  }
  assert.deepStrictEqual(offer('/v/a/%00/medium'), { path: '/v/a/~/medium', takes: 'webp,jpg' });
  assert.deepStrictEqual(offer('/img/a/medium', [['Accept', 'image/webp,*/*']]), { path: '/img/a/medium', takes: 'jpg' });
  const firefox = [['Accept', 'image/avif,image/webp;q=0,image/*;q=0.8']];
  assert.deepStrictEqual(offer('/img/a/medium', firefox), { path: '/img/a/medium', takes: 'jpg' });
});

test('the query string is dropped, the rest of the request stays', () => {
  const result = ask('/img/a.jpg/medium?width=9&width=8&x', [
    ['Accept', 'image/webp'],
    ['If-None-Match', '"1"'],
    ['Range', 'bytes=0-9'],
  ]);
  assert.deepStrictEqual(result.querystring, {});
  assert.strictEqual(result.uri, '/a.jpg/medium.webp');
  assert.strictEqual(result.headers['if-none-match'].value, '"1"');
  assert.strictEqual(result.headers.range.value, 'bytes=0-9');
});

test('HEAD is asked for like GET', () => {
  const result = ask('/img/a.jpg/medium', [['Accept', 'image/avif']], 'HEAD');
  assert.deepStrictEqual([result.method, result.uri], ['HEAD', '/a.jpg/medium.avif']);
});

test('several Accept lines are one list', () => {
  const lines = [['Accept', 'text/html'], ['accept', 'image/webp;q=0.5'], ['ACCEPT', 'image/avif;q=0.4']];
  assert.strictEqual(ask('/img/a/medium', lines).uri, '/a/medium.webp');
  assert.strictEqual(ask('/img/a/medium').uri, '/a/medium.jpg', 'no line at all');
});

test('a header beyond the bound says nothing', () => {
  const asked = (accept) => ask('/img/a/medium', [['Accept', accept]]).uri;
  const filler = (length) => 'image/avif,'.padEnd(length, 'x');
  assert.strictEqual(asked(filler(512)), '/a/medium.avif');
  assert.strictEqual(asked(filler(513)), '/a/medium.jpg');
  const lines = (count) => Array.from({ length: count }, () => ['Accept', 'image/avif']);
  assert.strictEqual(ask('/img/a/medium', lines(8)).uri, '/a/medium.avif');
  assert.strictEqual(ask('/img/a/medium', lines(9)).uri, '/a/medium.jpg');
});

test('nothing of a header beyond the bound is looked at but its length', () => {
  // Stands in for the text of a header; whatever is read of it besides its length is written down.
  const header = (length) => {
    const read = new Set();
    const text = new Proxy(
      {},
      {
        get: (_, name) => {
          read.add(typeof name === 'symbol' ? name.toString() : name);
          return name === 'length' ? length : undefined;
        },
      },
    );
    return { text, read };
  };
  const negotiate = evaluate(request, 'negotiate');
  const beyond = header(513);
  assert.deepStrictEqual([...negotiate(beyond.text, ['avif', 'webp', 'jpg'])], ['jpg']);
  assert.deepStrictEqual([...beyond.read], ['length']);
  const within = header(512);
  assert.throws(() => negotiate(within.text, ['avif', 'webp', 'jpg']), { name: 'TypeError' });
  const offerOf = evaluate(image, 'offerOf');
  const seen = header(513);
  const asItCame = { uri: '/img/a/medium', querystring: {}, headers: { accept: { value: seen.text } } };
  assert.strictEqual(offerOf(asItCame), null);
  assert.deepStrictEqual([...seen.read], ['length']);
});

test('the number of calls does not grow with what a client sends', () => {
  // Calls of the built-in functions that take a text apart, in the function's own world.
  const counted = `
    const calls = { number: 0 };
    ['split', 'replace', 'slice', 'indexOf', 'lastIndexOf'].forEach(function (name) {
      const original = String.prototype[name];
      String.prototype[name] = function () { calls.number += 1; return original.apply(this, arguments); };
    });
    ['exec', 'test'].forEach(function (name) {
      const original = RegExp.prototype[name];
      RegExp.prototype[name] = function () { calls.number += 1; return original.apply(this, arguments); };
    });
    ['map', 'filter', 'forEach', 'push'].forEach(function (name) {
      const original = Array.prototype[name];
      Array.prototype[name] = function () { calls.number += this.length + 1; return original.apply(this, arguments); };
    });
    ['encodeURIComponent', 'decodeURIComponent', 'encodeURI'].forEach(function (name) {
      const original = globalThis[name];
      globalThis[name] = function (text) { calls.number += 1; return original(text); };
    });
    function count(event) { calls.number = 0; handler(event); return calls.number; }`;
  const count = evaluate(`${counted}\n${request}`, 'count');
  const number = (target, accept) => count(requestEvent({ target, headers: [['Accept', accept]] }));
  const chrome = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8';
  const plain = number('/img/photos/beach.jpg/medium', chrome);
  for (const [, target, accept] of WORST) {
    // A search and a split for each of the five characters that no built-in function escapes.
    assert.ok(number(target, accept) <= plain + 12, `${target} ${accept}`);
  }
});

test('a format that is held back has its own URL and is not negotiated', () => {
  const held = load(render(undefined, '--hold-back', 'avif').request);
  const uri = (target) => held(requestEvent({ target, headers: [['Accept', 'image/avif,image/webp']] })).uri;
  assert.strictEqual(uri('/img/a/medium'), '/a/medium.webp');
  assert.strictEqual(uri('/img/a/medium.avif'), '/a/medium.avif');
  assert.throws(
    () => render(undefined, '--hold-back', 'jpeg'),
    (error) => /neither JPEG nor PNG is left/.test(error.stderr.toString()),
  );
});

test("the version of the path replaces whatever the client sent under the header's name", () => {
  for (const sent of [[], [['X-Tintype-Version', 'evil']], [['x-tintype-version', 'evil'], ['X-TINTYPE-VERSION', 'worse']]]) {
    const versioned = ask(`/v/a/${VERSION}/medium`, sent);
    assert.deepStrictEqual(versioned.headers['x-tintype-version'], { value: VERSION, multiValue: [{ value: VERSION }] });
    const plain = ask('/img/a/medium', sent);
    assert.ok(!Object.hasOwn(plain.headers, 'x-tintype-version'));
  }
});

test('errors are problem documents that are not sniffed and not cached for long', () => {
  for (const [target, status, code, cached] of [
    ['/img/%ZZ/medium', 400, 'bad_encoding', 'no-store'],
    ['/img/a/huge', 404, 'not_found', 'public, max-age=5'],
    ['/', 404, 'not_found', 'public, max-age=5'],
  ]) {
    const result = ask(target);
    assert.deepStrictEqual(outcome(result), { status });
    const problem = JSON.parse(result.body.data);
    assert.deepStrictEqual([problem.type, problem.status, problem.code], ['about:blank', status, code]);
    assert.strictEqual(problem.title, result.statusDescription);
    assert.deepStrictEqual(result.headers, {
      'cache-control': { value: cached },
      'content-type': { value: 'application/problem+json' },
      'x-content-type-options': { value: 'nosniff' },
    });
  }
});

test('names that mean something to JavaScript are names like any other', () => {
  const toml = ['__proto__', 'constructor', 'snail 🐌'].map((name) => `[[variant]]\nname = ${JSON.stringify(name)}\n`);
  const odd = load(render(toml.join('')).request);
  const uri = (target) => outcome(odd(requestEvent({ target })));
  assert.deepStrictEqual(uri('/img/a/__proto__'), { uri: '/a/__proto__.jpg', version: null });
  assert.deepStrictEqual(uri('/img/a/constructor.avif'), { uri: '/a/constructor.avif', version: null });
  assert.deepStrictEqual(uri('/img/a/snail%20%F0%9F%90%8C'), { uri: '/a/snail%20%F0%9F%90%8C.jpg', version: null });
  assert.deepStrictEqual(uri('/img/a/toString'), { status: 404 });
});

test('a mistake of our own is not taken for the client\'s', () => {
  const broken = load(request.replace('RECIPE.maxKeyBytes', 'RECIPE.no.such'));
  assert.throws(() => broken(requestEvent({ target: '/img/a/medium' })), { name: 'TypeError' });
});

const SHORT = 'public, max-age=86400';
const FOREVER = 'public, max-age=31536000, immutable';

/// The answer of S3 for an AVIF whose WebP is smaller and no worse, for a client that takes more than AVIF.
function outdone({ status = 200, listed = 'webp', query = { path: '/img/a/medium', takes: 'webp,jpg' }, asItCame = null } = {}) {
  const headers = [
    ['Cache-Control', SHORT],
    ['Content-Type', 'image/avif'],
    ['Content-Length', '9000'],
    ['ETag', '"1"'],
    ['Vary', 'Accept'],
  ];
  const all = listed === null ? headers : [...headers, ['x-amz-meta-tintype-stand-ins', listed]];
  return responseEvent({ status, headers: all, query, asItCame });
}

test('a client is sent to the smallest file that is no worse and that it takes', () => {
  for (const [listed, extension] of [
    ['webp', 'webp'],
    ['jpg,webp', 'jpg'],
    ['png,webp', 'webp'],
  ]) {
    const result = respondImage(outdone({ listed }));
    assert.deepStrictEqual([result.statusCode, result.statusDescription], [302, 'Found']);
    assert.strictEqual(result.headers.location.value, `/img/a/medium.${extension}`);
    assert.deepStrictEqual(result.body, { encoding: 'text', data: '' });
    assert.strictEqual(result.headers['cache-control'].value, SHORT);
    assert.strictEqual(result.headers.vary.value, 'Accept');
    for (const name of ['content-type', 'content-length', 'etag']) {
      assert.ok(!Object.hasOwn(result.headers, name), `${name} is of the file that is not sent`);
    }
  }
  const versioned = respond(outdone({ query: { path: `/v/a/${VERSION}/medium`, takes: 'webp' } }));
  assert.strictEqual(versioned.headers.location.value, `/v/a/${VERSION}/medium.webp`);
  assert.strictEqual(versioned.headers['cache-control'].value, FOREVER);
});

test('a request that is seen as it came is understood as well', () => {
  const chrome = 'image/avif, IMAGE/WEBP,image/apng,image/*,*/*;q=0.8';
  const location = (target, accept = chrome, listed = 'jpg,webp') =>
    respondImage(outdone({ listed, asItCame: [target, accept] })).headers.location?.value;
  assert.strictEqual(location('/img/a/b%20c/medium'), '/img/a/b%20c/medium.webp');
  assert.strictEqual(location('/img/img/a/medium?x=1'), '/img/img/a/medium.webp');
  assert.strictEqual(location(`/v/a/${VERSION}/medium`), `/v/a/${VERSION}/medium.webp`);
  assert.strictEqual(location('/img/a/medium?path=/v/b/c&takes=webp'), '/v/b/c.webp', 'of this host all the same');
  for (const [target, accept] of [
    ['/img/a/medium.avif', chrome],
    ['/img/a/medium%2Eavif', chrome],
    ['/img/a/medium', 'image/avif'],
    ['/img/a/medium', 'image/avif,image/webp;q=0'],
    ['/img/a/medium.avif?path=//evil.example/a&takes=webp', chrome],
    ['/img/a/medium.avif?path=https://evil.example/a&takes=webp', chrome],
  ]) {
    assert.strictEqual(location(target, accept), undefined, `${target} ${accept}`);
  }
});

test('everything else passes as S3 answered it', () => {
  for (const [name, event] of Object.entries({
    'a format by name': outdone({ query: {} }),
    'no stand-in': outdone({ listed: null }),
    'none that the client takes': outdone({ listed: 'png' }),
    'a part': outdone({ status: 206 }),
    'what the client has': outdone({ status: 304 }),
    'a path that is not ours': outdone({ query: { path: '//evil.example/a', takes: 'webp' } }),
    'half an offer': outdone({ query: { takes: 'webp' } }),
  })) {
    const result = respondImage(event);
    assert.deepStrictEqual(result, event.response, name);
  }
});

test('whole, partial and unmodified pictures of /v/* are immutable, nothing else is', () => {
  const short = 'public, max-age=86400';
  for (const [status, expected] of [
    [200, 'public, max-age=31536000, immutable'],
    [206, 'public, max-age=31536000, immutable'],
    [304, 'public, max-age=31536000, immutable'],
    [301, short],
    [403, short],
    [404, short],
    [412, short],
    [416, short],
    [500, short],
    [503, short],
  ]) {
    const result = respond(responseEvent({ status, headers: [['Cache-Control', short], ['ETag', '"1"']] }));
    assert.strictEqual(result.headers['cache-control'].value, expected, `${status}`);
    assert.strictEqual(result.headers.etag.value, '"1"');
    assert.strictEqual(result.statusCode, status);
  }
  const twice = responseEvent({ status: 200, headers: [['Cache-Control', short], ['Cache-Control', 'private']] });
  assert.deepStrictEqual(respond(twice).headers['cache-control'].multiValue, [
    { value: 'public, max-age=31536000, immutable' },
  ]);
});
