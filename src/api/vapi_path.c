/* Paths: one normal form, which is what is routed and what is forwarded, so that no spelling of a path that is ours
   reaches a beacon node; and what of the rest may be forwarded at all. Spec: validator-api.md 13. */
#include "api/vapi_internal.h"
#include "http/http.h"

#include <strings.h>

/* What the paths of the beacon API, of beacon nodes' own routes and of ours are made of. The rest has a meaning to some
   servers: ';' parameters, '\' a separator, '%' a second decoding. */
static bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~:@!,=+", c));
}

bool aq_vapi_normal(char out[AQ_VAPI_PATH_MAX + 1], const char *path) {
  size_t len = 0;
  if (path[0] != '/') return false;
  while (*path) {
    while (*path == '/') path++;
    size_t seg = strcspn(path, "/");
    for (size_t i = 0; i < seg; i++) {
      if (!plain(path[i])) return false;
    }
    if (seg == 2 && path[0] == '.' && path[1] == '.') {
      while (len > 0 && out[--len] != '/') continue;
    } else if (seg > 0 && !(seg == 1 && path[0] == '.')) {
      if (len + 1 + seg > AQ_VAPI_PATH_MAX) return false;
      out[len++] = '/';
      memcpy(out + len, path, seg);
      len += seg;
    }
    path += seg;
  }
  if (len == 0) out[len++] = '/';
  out[len] = 0;
  return true;
}

/* Reads that carry their question in a body, and a client's own books at the beacon node. Nothing that is signed. */
static const char *const posts[] = {"/eth/v1/beacon/states/{}/validator_balances",
                                    "/eth/v1/beacon/states/{}/validator_identities",
                                    "/eth/v1/beacon/rewards/attestations/{}",
                                    "/eth/v1/beacon/rewards/sync_committee/{}",
                                    "/eth/v1/validator/liveness/{}",
                                    "/prysm/v1/validators/performance",
                                    "/prysm/validators/performance"};

/* /eth/<any>/validator/...: what is not ours there would be a signature, or data to be signed, that the cluster did not
   agree on. */
static bool of_validators(const char *path) {
  if (strncasecmp(path, "/eth/", 5) != 0) return false;
  path += 5 + strcspn(path + 5, "/");
  return strncasecmp(path, "/validator", 10) == 0 && (path[10] == '/' || path[10] == 0);
}

bool aq_vapi_forwards(const char *method, const char *path) {
  if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) return !of_validators(path);
  if (strcmp(method, "POST") != 0) return false;
  for (size_t i = 0; i < AQ_COUNT(posts); i++) {
    if (aq_http_match(posts[i], path, NULL)) return true;
  }
  return false;
}
