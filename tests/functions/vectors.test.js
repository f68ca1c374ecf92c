// The request function gives the answers that the edge's rules give: on the shared vectors and on random requests.
'use strict';

const assert = require('node:assert');
const { test } = require('node:test');
const { checkRequestResult, load, requestEvent } = require('./cloudfront.js');
const { acceptCases, agree, fuzzCases, pathCases, render, seed } = require('./vectors.js');

function check(handler, cases) {
  for (const { path, accept, expected } of cases) {
    const headers = (accept ?? []).map((line) => ['Accept', line]);
    const event = requestEvent({ target: path, headers });
    const result = checkRequestResult(event, handler(event));
    agree(result, expected, JSON.stringify({ path, accept }));
  }
}

test('every Accept header of the shared table gets its format', () => {
  const { cases, toml } = acceptCases();
  assert.ok(cases.length >= 230);
  check(load(render(toml).request), cases);
});

test('every path of the shared table leads where it should', () => {
  const cases = pathCases();
  assert.ok(cases.filter((known) => known.expected.uri).length >= 60);
  assert.ok(cases.filter((known) => known.expected.status).length >= 60);
  check(load(render().request), cases);
});

test('10,000 random requests get what the edge makes of them', (context) => {
  const number = seed();
  context.diagnostic(`TINTYPE_SEED=${number}`);
  const recipes = fuzzCases(10_000, number);
  const all = recipes.flatMap((recipe) => recipe.cases);
  assert.strictEqual(all.length, 10_000);
  // The generator is worth something only while it reaches every outcome often.
  const count = (wanted) => all.filter(({ expected }) => wanted(expected)).length;
  for (const reached of [
    count((expected) => expected.uri),
    count((expected) => expected.version),
    count((expected) => expected.status === 400),
    count((expected) => expected.status === 404),
  ]) {
    assert.ok(reached > 200, `${reached} of 10,000, seed ${number}`);
  }
  // It takes a path without an extension and a client that takes several of the variant's formats: about 1 %.
  const offers = count((expected) => expected.offer);
  assert.ok(offers > 40, `${offers} offers of 10,000, seed ${number}`);
  for (const { code, cases } of recipes) {
    check(load(code), cases);
  }
});
