// A model of the cache in front of the processed bucket. CloudFront keeps one set of entries for all behaviours of a
// distribution: two requests share an entry when the rewritten URI and the headers of their cache policies are equal.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { load, requestEvent } = require('./cloudfront.js');
const { render } = require('./vectors.js');

const OLD = '0123456789abcdef0123456789abcdef';
const NEW = 'fedcba9876543210fedcba9876543210';
const CHROME = 'image/avif,image/webp,image/apng,image/*,*/*;q=0.8';
const SAFARI_15 = 'image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5';
const CURL = '*/*';
const handler = load(render().request);

/// The headers in the cache key of a cache policy of deploy/template.yaml.
function policyHeaders(template, logicalId) {
  const block = template.match(new RegExp(`^  ${logicalId}:\\n((?:(?:    .*)?\\n)+)`, 'm'));
  assert.ok(block, `the template has ${logicalId}`);
  const config = block[1].match(/HeadersConfig: \{HeaderBehavior: (none|whitelist)(?:, Headers: \[([^\]]*)\])?\}/);
  assert.ok(config, `${logicalId} says on one line which headers are in the key`);
  const [, behaviour, names] = config;
  assert.strictEqual(behaviour === 'whitelist', names !== undefined);
  return names === undefined ? [] : names.split(',').map((name) => name.trim().toLowerCase());
}

const template = fs.readFileSync(path.join(__dirname, '../../deploy/template.yaml'), 'utf8');
const SHIPPED = {
  '/v/*': policyHeaders(template, 'VersionedCachePolicy'),
  '/img/*': policyHeaders(template, 'ImageCachePolicy'),
};

/// How CloudFront sees a path when it looks for the behaviour: dot segments resolved, needless escapes undone.
function normalised(uri) {
  return new URL(uri.replace(/%(2d|2e|5f|7e|[46][1-9a-f]|[57][0-9a]|3[0-9])/gi, decodeURIComponent), 'http://a').pathname;
}

class Distribution {
  constructor(policies) {
    this.policies = policies;
    this.entries = new Map();
    this.picture = OLD;
  }

  /// S3 has one picture under each URI; it is overwritten when a new version is published.
  publish(version) {
    this.picture = version;
  }

  get(target, accept, headers = []) {
    const path = normalised(target.split('?')[0]);
    const pattern = Object.keys(this.policies).find((known) => path.startsWith(known.slice(0, -1)));
    const result = handler(requestEvent({ target, headers: [['Accept', accept], ...headers] }));
    if (result.statusCode !== undefined) {
      return { status: result.statusCode };
    }
    assert.ok(pattern, `${target} is rewritten only where a behaviour for pictures is`);
    const values = this.policies[pattern].map((name) => [name, result.headers[name]?.value ?? null]);
    const entry = JSON.stringify([result.uri, values]);
    const hit = this.entries.has(entry);
    if (!hit) {
      this.entries.set(entry, { uri: result.uri, picture: this.picture });
    }
    return { hit, entry, ...this.entries.get(entry) };
  }
}

test('a new version is seen under its own URL at once, whatever older entries there are', () => {
  const site = new Distribution(SHIPPED);
  for (const accept of [CHROME, SAFARI_15, CURL]) {
    assert.strictEqual(site.get('/img/a.jpg/medium', accept).hit, false);
    assert.strictEqual(site.get(`/v/a.jpg/${OLD}/medium`, accept).hit, false);
  }
  site.publish(NEW);
  for (const accept of [CHROME, SAFARI_15, CURL]) {
    assert.deepStrictEqual(site.get('/img/a.jpg/medium', accept).picture, OLD, 'until its entry expires');
    assert.deepStrictEqual(site.get(`/v/a.jpg/${OLD}/medium`, accept).picture, OLD);
    const fresh = site.get(`/v/a.jpg/${NEW}/medium`, accept);
    assert.deepStrictEqual([fresh.hit, fresh.picture], [false, NEW]);
    assert.strictEqual(site.get(`/v/a.jpg/${NEW}/medium?again`, accept).hit, true);
  }
});

test('the other way round: entries of /v/ are never what /img/ answers with', () => {
  const site = new Distribution(SHIPPED);
  site.get(`/v/a.jpg/${OLD}/medium`, CHROME);
  site.publish(NEW);
  assert.strictEqual(site.get('/img/a.jpg/medium', CHROME).picture, NEW);
});

test('a version header that the client sends moves no request to another entry', () => {
  const site = new Distribution(SHIPPED);
  const plain = site.get('/img/a.jpg/medium', CHROME);
  const versioned = site.get(`/v/a.jpg/${OLD}/medium`, CHROME);
  for (const value of [OLD, NEW, '~', '', 'x\r\nx: y']) {
    const sent = [['X-Tintype-Version', value], ['x-tintype-version', 'again']];
    assert.strictEqual(site.get('/img/a.jpg/medium', CHROME, sent).entry, plain.entry);
    assert.strictEqual(site.get(`/v/a.jpg/${OLD}/medium`, CHROME, sent).entry, versioned.entry);
  }
  assert.strictEqual(site.entries.size, 2);
});

test('spellings of one path share an entry; keys, variants and formats never do', () => {
  const site = new Distribution(SHIPPED);
  const entry = (target, accept = CURL) => site.get(target, accept).entry;
  assert.strictEqual(entry('/img/a+b/medium'), entry('/img/a%2bb/medium?x=1'));
  assert.strictEqual(entry('/img/a%2Fb/medium'), entry('/img/a/%62/%6Dedium'));
  const distinct = [
    entry('/img/a/medium'),
    entry('/img/a/medium', SAFARI_15),
    entry('/img/a/medium', CHROME),
    entry('/img/a/thumbnail'),
    entry('/img/b/medium'),
    entry('/img/a%2520b/medium'),
    entry('/img/a%20b/medium'),
    entry(`/v/a/${OLD}/medium`),
    entry(`/v/a/${NEW}/medium`),
    entry(`/v/a/${NEW}/medium`, CHROME),
  ];
  assert.strictEqual(new Set(distinct).size, distinct.length);
  for (const { uri } of site.entries.values()) {
    assert.match(uri, /\.(avif|webp|jpg)$/);
  }
});

test('each format has one entry, however many Accept headers there are', () => {
  const site = new Distribution(SHIPPED);
  for (let number = 0; number < 100; number++) {
    site.get('/img/a/medium', `${CHROME},text/x-${number}`);
    site.get('/img/a/medium', `${SAFARI_15},text/x-${number}`);
    site.get('/img/a/medium', `${CURL},text/x-${number}`);
  }
  assert.strictEqual(site.entries.size, 3);
});

test('made-up versions that cannot be one share an entry, and it is none of a version', () => {
  const site = new Distribution(SHIPPED);
  const entries = ['', '%00', 'a%20b', '%E2%82%AC', 'x'.repeat(500)].map((text) => site.get(`/v/a/${text}/medium`, CURL).entry);
  assert.strictEqual(new Set(entries).size, 1);
  assert.notStrictEqual(entries[0], site.get(`/v/a/${OLD}/medium`, CURL).entry);
  assert.notStrictEqual(entries[0], site.get('/img/a/medium', CURL).entry);
});

test('no path is rewritten in the other behaviour than its prefix says', () => {
  const site = new Distribution(SHIPPED);
  for (const target of [
    `/img/../v/a/${OLD}/medium`,
    `/img/%2e%2E/v/a/${OLD}/medium`,
    '/v/../img/a/medium',
    '/v/a/../../img/b/medium',
    `/v/x/../../img/a/${OLD}/medium`,
    `/%69mg/a/medium`,
    '/%76/a/b/medium',
    '/x/../img/a/medium',
    '/./img/a/medium',
  ]) {
    assert.deepStrictEqual(site.get(target, CURL), { status: 404 }, target);
  }
});

test('the model notices a policy that leaves the version out', () => {
  const site = new Distribution({ '/v/*': [], '/img/*': [] });
  site.get('/img/a/medium', CURL);
  site.publish(NEW);
  assert.strictEqual(site.get(`/v/a/${NEW}/medium`, CURL).picture, OLD, 'an old picture under the new version');
});
