// Viewer request, for every behaviour of the distribution: turns a delivery path into the rendition's object key.
//
//   /img/{key}/{variant}[.{ext}]            -> /{key}/{variant}.{ext}
//   /v/{key}/{version}/{variant}[.{ext}]    -> the same, and the version in a header that only the cache key of /v/*
//                                              includes: behaviours share cache entries of equal URI otherwise
//
// Without an extension the request goes on with a query of two fields, which no cache key includes and which is not sent
// to S3: `takes`, the extensions that the client takes besides the chosen one, and `path`, its URL without an extension.
// image-response.js reads them.
//
// The rules are those of tintype_model::DeliveryPath, ObjectKey::check_servable and tintype_edge::negotiate, in their
// order; crates/edge/tests/vectors hold both sides to them. Written for CloudFront's runtime 2.0 in the syntax that
// njs 0.7 takes. `tintype-render-functions` fills in the next line and strips comments.
const RECIPE = {/*recipe*/};

const VERSION_HEADER = 'x-tintype-version';

// What encodeURI and encodeURIComponent keep and S3's signatures do not.
const KEPT = /[!'()*]/;
const ESCAPES = [['!', '%21'], ["'", '%27'], ['(', '%28'], [')', '%29'], ['*', '%2A']];

// The time that CloudFront gives a function is short, and an engine without a compiler spends it on every call of a
// function and every piece of a string. So keys and headers are read by few calls of built-in functions, whose number
// does not grow with what the client sends, and no more is looked at than RECIPE.maxAcceptBytes of Accept.

// Percent-encodes every byte outside A-Za-z0-9-._~/.
function encode(text) {
  // encodeURI leaves slashes as they are, and a few others that few keys have.
  let encoded = /[;,?:@&=+$#]/.test(text) ? encodeURIComponent(text).split('%2F').join('/') : encodeURI(text);
  if (KEPT.test(text)) {
    for (let i = 0; i < ESCAPES.length; i++) {
      if (text.indexOf(ESCAPES[i][0]) !== -1) {
        encoded = encoded.split(ESCAPES[i][0]).join(ESCAPES[i][1]);
      }
    }
  }
  return encoded;
}

// What CDNs and HTTP clients rewrite is stored but never served: empty and dot segments, control characters.
function servable(key) {
  return (
    Buffer.byteLength(key) <= RECIPE.maxKeyBytes && !/\/\.{0,2}\//.test('/' + key + '/') && !/[\x00-\x1f\x7f-\x9f]/.test(key)
  );
}

function variantOf(name) {
  for (let i = 0; i < RECIPE.variants.length; i++) {
    if (RECIPE.variants[i].name === name) {
      return RECIPE.variants[i];
    }
  }
  return null;
}

// The media ranges that decide, and how each is found in Accept: the first part that is this range without parameters, or
// with a weight alone, which is the first group. A part with other parameters is no match.
const RANGES = {};
['avif', 'webp', 'jxl', 'jpeg', 'png', '*'].forEach(function (subtype) {
  RANGES[subtype] = rangeOf('image/' + subtype);
});
RANGES.all = rangeOf('*/*');

function rangeOf(range) {
  const weight = ';[ \\t;]*(?:q=(0(?:\\.[0-9]{0,3})?|1(?:\\.0{0,3})?)[ \\t;]*)?';
  return new RegExp(',[ \\t]*' + range.replace(/\*/g, '\\*') + '[ \\t]*(?:' + weight + ')?(?=,|$)', 'i');
}

// The weight of a media range; undefined where Accept, with a comma in front, does not name it.
function weightOf(accept, range) {
  const found = RANGES[range].exec(accept);
  return found === null ? undefined : found[1] === undefined ? 1 : Number(found[1]);
}

// Of the extensions that are negotiated for the variant: the one that a request with this Accept header prefers, then the
// others that it takes.
function negotiate(accept, extensions) {
  const isSilent =
    accept === null ||
    accept.length > RECIPE.maxAcceptBytes ||
    Buffer.byteLength(accept) > RECIPE.maxAcceptBytes ||
    accept.indexOf('"') !== -1;
  const parts = isSilent ? '' : ',' + accept;
  const image = weightOf(parts, '*');
  const wild = image === undefined ? weightOf(parts, 'all') : image;
  let best = extensions.indexOf('jpg') !== -1 ? 'jpg' : 'png';
  let bestWeight = 0;
  const taken = extensions.filter(function (extension) {
    const isUniversal = extension === 'jpg' || extension === 'png';
    if (isSilent) {
      return isUniversal;
    }
    let weight = weightOf(parts, extension === 'jpg' ? 'jpeg' : extension);
    if (weight === undefined && isUniversal) {
      weight = wild;
    }
    if (weight > bestWeight) {
      best = extension;
      bestWeight = weight;
    }
    return weight > 0;
  });
  const others = taken.filter(function (extension) {
    return extension !== best;
  });
  return [best].concat(others);
}

// Several lines of one header are one list; null without any, and of more lines than anybody sends.
function acceptOf(headers) {
  const accept = headers.accept;
  if (!accept || (accept.multiValue && accept.multiValue.length > RECIPE.maxAcceptLines)) {
    return null;
  }
  if (!accept.multiValue) {
    return accept.value;
  }
  return accept.multiValue
    .map(function (line) {
      return line.value;
    })
    .join(',');
}

// A version of the published form stands for itself; all other texts name no version and share one cache entry. The
// token for them cannot be a version.
function versionToken(version) {
  return version === '' || version.length > 64 || /[^0-9A-Za-z_-]/.test(version) ? '~' : version;
}

// { uri, version, query } of a path that names a rendition of the recipe, null for any other. Each part is decoded once;
// decodeURIComponent throws at bad escapes and bad UTF-8 and takes `+` for a plus sign.
function parse(path, headers) {
  const versioned = path.slice(0, 3) === '/v/';
  if (!versioned && path.slice(0, 5) !== '/img/') {
    return null;
  }
  let rest = path.slice(versioned ? 3 : 5);
  let slash = rest.lastIndexOf('/');
  if (slash === -1) {
    return null;
  }
  const rawLast = rest.slice(slash + 1);
  rest = rest.slice(0, slash);
  let version = null;
  if (versioned) {
    slash = rest.lastIndexOf('/');
    if (slash === -1) {
      return null;
    }
    version = versionToken(decodeURIComponent(rest.slice(slash + 1)));
    rest = rest.slice(0, slash);
  }
  const key = decodeURIComponent(rest);
  if (key === '' || Buffer.byteLength(key) > 1024) {
    return null;
  }
  const last = decodeURIComponent(rawLast);
  const dot = last.indexOf('.');
  const variant = variantOf(dot === -1 ? last : last.slice(0, dot));
  if (!variant || !servable(key)) {
    return null;
  }
  let extension = last.slice(dot + 1);
  const query = {};
  const folder = '/' + encode(key) + '/';
  const name = encode(variant.name);
  if (dot === -1) {
    const taken = negotiate(acceptOf(headers), variant.negotiated);
    extension = taken[0];
    if (taken.length > 1) {
      const start = versioned ? '/v' + folder + version + '/' : '/img' + folder;
      query.path = { value: start + name };
      query.takes = { value: taken.slice(1).join() };
    }
  } else if (variant.negotiated.indexOf(extension) === -1 && variant.heldBack.indexOf(extension) === -1) {
    return null;
  }
  return { uri: folder + name + '.' + extension, version: version, query: query };
}

function problem(status, title, code, detail, cacheControl) {
  const body = { type: 'about:blank', title: title, status: status, detail: detail, code: code };
  return {
    statusCode: status,
    statusDescription: title,
    headers: {
      'cache-control': { value: cacheControl },
      'content-type': { value: 'application/problem+json' },
      'x-content-type-options': { value: 'nosniff' },
    },
    body: { encoding: 'text', data: JSON.stringify(body) },
  };
}

function handler(event) {
  const request = event.request;
  let found;
  try {
    found = parse(request.uri, request.headers);
  } catch (error) {
    if (!(error instanceof URIError)) {
      throw error;
    }
    return problem(400, 'Bad Request', 'bad_encoding', 'the path is not percent-encoded UTF-8', RECIPE.noStore);
  }
  if (found === null) {
    return problem(404, 'Not Found', 'not_found', 'the path names no picture', RECIPE.negative);
  }
  request.uri = found.uri;
  request.querystring = found.query;
  // Whatever the client sent under this name, in one line or several, goes.
  delete request.headers[VERSION_HEADER];
  if (found.version !== null) {
    request.headers[VERSION_HEADER] = { value: found.version, multiValue: [{ value: found.version }] };
  }
  return request;
}
