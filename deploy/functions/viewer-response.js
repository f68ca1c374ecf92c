// Viewer response, for /img/* and /v/*.
//
// /img/ and /v/ without an extension: a rendition lists, in x-amz-meta-tintype-stand-ins, the extensions of the same
// variant that are smaller and no worse, the smallest first. A client that takes one of them is sent there. Renditions
// that are named with their extension, and clients that take nothing else, get what S3 answered. `path` and `takes` are
// of viewer-request.js, which replaces whatever query the client sent.
//
// /v/: the URL names the version that is shown, so browsers may keep it for a year. The edge keeps to the short policy
// that the rendition carries in S3, because the same object answers under /img/ too.
//
// `tintype-render-functions` fills in the next line, once for each of the two behaviours, and strips comments.
const POLICY = {/*policy*/};

// How a media type without parameters is found in Accept, by the extension that stands for it.
const NAMED = {
  avif: /,[ \t]*image\/avif[ \t]*(,|$)/i,
  webp: /,[ \t]*image\/webp[ \t]*(,|$)/i,
  jpg: /,[ \t]*image\/jpeg[ \t]*(,|$)/i,
  png: /,[ \t]*image\/png[ \t]*(,|$)/i,
};

// { path, takes } of a request that names no format: its URL, and the other extensions that the client takes. null for any
// other request. CloudFront's guide does not say whether a response function sees the request as the request function
// passed it on or as it came. As it came it has no extension and no query of ours; then only what Accept names without a
// weight counts, and variants with plain names.
function offerOf(request) {
  const query = request.querystring;
  if (query.path && query.takes && /^\/(img|v)\//.test(query.path.value)) {
    return { path: query.path.value, takes: query.takes.value.split(',') };
  }
  const accept = request.headers.accept;
  // As in viewer-request.js, what is looked at is bounded, and so is the number of calls.
  if (!accept || accept.value.length > POLICY.maxAcceptBytes || !/^\/(img|v)\/.*\/[0-9A-Za-z_-]+$/.test(request.uri)) {
    return null;
  }
  const takes = Object.keys(NAMED).filter(function (extension) {
    return NAMED[extension].test(',' + accept.value);
  });
  return { path: request.uri, takes: takes };
}

// Where to send the client in place of this response; null to let it pass.
function standIn(request, headers) {
  const listed = headers['x-amz-meta-tintype-stand-ins'];
  const offer = listed ? offerOf(request) : null;
  if (offer === null) {
    return null;
  }
  const found = listed.value.split(',').filter(function (extension) {
    return offer.takes.indexOf(extension) !== -1;
  });
  return found.length > 0 ? offer.path + '.' + found[0] : null;
}

function handler(event) {
  const response = event.response;
  const headers = response.headers;
  const status = response.statusCode;
  if (POLICY.immutable && (status === 200 || status === 206 || status === 304)) {
    headers['cache-control'] = { value: POLICY.immutable, multiValue: [{ value: POLICY.immutable }] };
  }
  // A part and what a client holds already stay what they are.
  const location = status === 200 ? standIn(event.request, headers) : null;
  if (location === null) {
    return response;
  }
  ['accept-ranges', 'content-length', 'content-type', 'etag', 'last-modified'].forEach(function (name) {
    delete headers[name];
  });
  headers.location = { value: location };
  response.statusCode = 302;
  response.statusDescription = 'Found';
  response.body = { encoding: 'text', data: '' };
  return response;
}
