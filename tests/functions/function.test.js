// What CloudFront asks of a function, and what the functions do beyond choosing a path.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { checkRequestResult, load, requestEvent, responseEvent } = require('./cloudfront.js');
const { outcome, render } = require('./vectors.js');

const VERSION = '0123456789abcdef0123456789abcdef';
const { request, response } = render();
const handle = load(request);
const respond = load(response);

function ask(target, headers = [], method = 'GET') {
  const event = requestEvent({ method, target, headers });
  return checkRequestResult(event, handle(event));
}

test('both functions fit into 10 KB, with room for a larger recipe', () => {
  assert.ok(Buffer.byteLength(request) <= 6 * 1024, `${Buffer.byteLength(request)} bytes`);
  assert.ok(Buffer.byteLength(response) <= 1024, `${Buffer.byteLength(response)} bytes`);
  const variants = Array.from({ length: 60 }, (_, number) => `[[variant]]\nname = "variant-${number}"\n`);
  assert.ok(Buffer.byteLength(render(variants.join('')).request) <= 10_240);
});

test('a recipe that does not fit is an error that says so', () => {
  const variants = Array.from({ length: 200 }, (_, number) => `[[variant]]\nname = "variant-${number}"\n`);
  assert.throws(
    () => render(variants.join('')),
    (error) => /does not fit into CloudFront Function viewer-request\.js/.test(error.stderr.toString()),
  );
});

test('the functions use no language beyond ES5.1, const, let, and no dynamic code', () => {
  for (const code of [request, response]) {
    assert.doesNotMatch(code, /\b(eval|Function|import|require|class|async|of)\b|=>|\?\.|\.\.\.|`/);
  }
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
  assert.strictEqual(asked(filler(4096)), '/a/medium.avif');
  assert.strictEqual(asked(filler(4097)), '/a/medium.jpg');
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
