// Runs a CloudFront Function the way CloudFront does: with an event of its shape, in strict mode, without eval, and
// with what it returns checked against the rules of the event structure.
'use strict';

const assert = require('node:assert');
const vm = require('node:vm');

/// What the code's expression is, in a world of its own that has only the language and runtime 2.0's Buffer.
function evaluate(code, expression) {
  const context = vm.createContext({ Buffer }, { codeGeneration: { strings: false, wasm: false } });
  const script = new vm.Script(`'use strict';\n${code}\n;${expression}`, { filename: 'function.js' });
  return script.runInContext(context);
}

/// A function's handler.
function load(code) {
  const handler = evaluate(code, 'handler');
  assert.strictEqual(typeof handler, 'function', 'a function is called handler');
  return (event) => {
    // Through JSON both ways, as over CloudFront's own boundary: nothing but data passes.
    const result = handler(JSON.parse(JSON.stringify(event)));
    return JSON.parse(JSON.stringify(result));
  };
}

/// Headers as an event has them: lower-case names, `multiValue` when a name came more than once.
function headersOf(lines) {
  const headers = {};
  for (const [name, value] of lines) {
    const lower = name.toLowerCase();
    if (!Object.hasOwn(headers, lower)) {
      headers[lower] = { value };
      continue;
    }
    const known = headers[lower];
    known.multiValue = known.multiValue ?? [{ value: known.value }];
    known.multiValue.push({ value });
  }
  return headers;
}

function queryOf(query) {
  const fields = [...new URLSearchParams(query)];
  return headersOf(fields);
}

/// The event of a request: a target as in the request line, and header lines.
function requestEvent({ method = 'GET', target, headers = [] }) {
  const at = target.indexOf('?');
  return {
    version: '1.0',
    context: {
      distributionDomainName: 'd111111abcdef8.cloudfront.net',
      distributionId: 'EDFDVBD6EXAMPLE',
      eventType: 'viewer-request',
      requestId: '4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==',
    },
    viewer: { ip: '198.51.100.11' },
    request: {
      method,
      uri: at === -1 ? target : target.slice(0, at),
      querystring: at === -1 ? {} : queryOf(target.slice(at + 1)),
      headers: headersOf([['Host', 'd111111abcdef8.cloudfront.net'], ...headers]),
      cookies: {},
    },
  };
}

/// The event of a response: the request as the request function passed it on, with the query that it put there, or
/// `asItCame`, a target and an Accept header.
function responseEvent({ status, headers = [], query = {}, asItCame = null }) {
  const [target, accept] = asItCame ?? ['/key/medium.webp', '*/*'];
  const event = requestEvent({ target, headers: [['Accept', accept]] });
  if (asItCame === null) {
    event.request.querystring = headersOf(Object.entries(query));
  }
  event.context.eventType = 'viewer-response';
  event.response = { statusCode: status, statusDescription: '', headers: headersOf(headers), cookies: {} };
  return event;
}

// Header names that a viewer-request function may not touch.
const UNTOUCHABLE = /^(connection|content-length|expect|host|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|via|x-amz-.*|x-amzn-.*|x-cache|x-edge-.*|x-forwarded-proto|x-real-ip)$/;

function checkHeaders(headers) {
  for (const [name, field] of Object.entries(headers)) {
    assert.match(name, /^[a-z0-9-]+$/);
    for (const { value } of [field, ...(field.multiValue ?? [])]) {
      assert.strictEqual(typeof value, 'string', name);
      assert.match(value, /^[\x20-\x7e]*$/, `${name} is printable ASCII`);
      assert.ok(value.length <= 1783, `${name} is not longer than CloudFront's limit`);
    }
  }
}

/// Checks what a viewer-request function returned; the answer is the request, or the response that it generated.
function checkRequestResult(event, result) {
  if (result.statusCode !== undefined) {
    assert.ok(Number.isInteger(result.statusCode) && result.statusCode >= 200 && result.statusCode <= 599);
    assert.strictEqual(typeof result.statusDescription, 'string');
    checkHeaders(result.headers);
    assert.strictEqual(result.body.encoding, 'text');
    assert.ok(result.body.data.length > 0);
    return result;
  }
  assert.strictEqual(result.method, event.request.method, 'the method is read-only');
  assert.match(result.uri, /^\/[A-Za-z0-9\-._~\/%]*$/, 'a rewritten URI is a canonical path');
  const added = { ...result.headers };
  for (const [name, field] of Object.entries(event.request.headers)) {
    if (UNTOUCHABLE.test(name)) {
      assert.deepStrictEqual(result.headers[name], field, `${name} is read-only`);
    }
    if (JSON.stringify(added[name]) === JSON.stringify(field)) {
      delete added[name];
    }
  }
  checkHeaders(added);
  return result;
}

module.exports = { evaluate, load, requestEvent, responseEvent, checkRequestResult };
