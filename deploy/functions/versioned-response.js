// Viewer response, for /v/* alone: the URL names the version that is shown, so browsers may keep it for a year. The
// edge keeps to the short policy that the rendition carries in S3, because the same object answers under /img/ too.
// `tintype-render-functions` fills in the next line and strips comments.
const POLICY = {/*policy*/};

function handler(event) {
  const response = event.response;
  const status = response.statusCode;
  if (status === 200 || status === 206 || status === 304) {
    response.headers['cache-control'] = { value: POLICY.immutable, multiValue: [{ value: POLICY.immutable }] };
  }
  return response;
}
