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

// Percent-encodes every byte outside A-Za-z0-9-._~/.
function encode(text) {
  return encodeURIComponent(text)
    .replace(/%2F/g, '/')
    .replace(/[!'()*]/g, function (character) {
      return '%' + character.charCodeAt(0).toString(16).toUpperCase();
    });
}

function bytes(text) {
  return encodeURIComponent(text).replace(/%../g, '.').length;
}

// What CDNs and HTTP clients rewrite is stored but never served: empty and dot segments, control characters.
function servable(key) {
  return !/(^|\/)(\.\.?)?(\/|$)/.test(key) && !/[\x00-\x1f\x7f-\x9f]/.test(key) && bytes(key) <= RECIPE.maxKeyBytes;
}

function variantOf(name) {
  for (let i = 0; i < RECIPE.variants.length; i++) {
    if (RECIPE.variants[i].name === name) {
      return RECIPE.variants[i];
    }
  }
  return null;
}

function trim(text) {
  return text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '');
}

// The weight that the parameters of a media range give it; -1 when the part has to be ignored.
function weightOf(parameters) {
  let weight = -1;
  for (let i = 0; i < parameters.length; i++) {
    const parameter = trim(parameters[i]);
    if (parameter === '') {
      continue;
    }
    if (weight !== -1 || !/^[qQ]=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$/.test(parameter)) {
      return -1;
    }
    weight = Number(parameter.slice(2));
  }
  return weight === -1 ? 1 : weight;
}

// The larger weight of each media range that Accept names.
function rangesOf(accept) {
  const ranges = {};
  accept.split(',').forEach(function (part) {
    const pieces = part.split(';');
    const range = trim(pieces[0]).toLowerCase();
    const weight = weightOf(pieces.slice(1));
    if (weight !== -1 && !(ranges[' ' + range] >= weight)) {
      ranges[' ' + range] = weight;
    }
  });
  return ranges;
}

// Of the extensions that are negotiated for the variant: the one that a request with this Accept header prefers, then the
// others that it takes.
function negotiate(accept, extensions) {
  const isSilent = accept === null || bytes(accept) > RECIPE.maxAcceptBytes || accept.indexOf('"') !== -1;
  const ranges = isSilent ? {} : rangesOf(accept);
  let best = extensions.indexOf('jpg') !== -1 ? 'jpg' : 'png';
  let bestWeight = 0;
  const taken = extensions.filter(function (extension) {
    const isUniversal = extension === 'jpg' || extension === 'png';
    let weight = ranges[' image/' + (extension === 'jpg' ? 'jpeg' : extension)];
    if (weight === undefined && isUniversal) {
      weight = ranges[' image/*'] === undefined ? ranges[' */*'] : ranges[' image/*'];
    }
    if (weight > bestWeight) {
      best = extension;
      bestWeight = weight;
    }
    return isSilent ? isUniversal : weight > 0;
  });
  const others = taken.filter(function (extension) {
    return extension !== best;
  });
  return [best].concat(others);
}

// Several lines of one header are one list; null without any.
function acceptOf(headers) {
  const accept = headers.accept;
  if (!accept) {
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
  if (key === '' || bytes(key) > 1024) {
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
  if (dot === -1) {
    const taken = negotiate(acceptOf(headers), variant.negotiated);
    extension = taken[0];
    if (taken.length > 1) {
      const start = versioned ? '/v' + folder + version + '/' : '/img' + folder;
      query.path = { value: start + encode(variant.name) };
      query.takes = { value: taken.slice(1).join() };
    }
  } else if (variant.negotiated.indexOf(extension) === -1 && variant.heldBack.indexOf(extension) === -1) {
    return null;
  }
  return { uri: folder + encode(variant.name) + '.' + extension, version: version, query: query };
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
