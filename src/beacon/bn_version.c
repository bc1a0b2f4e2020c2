/* The version of each beacon node, asked when its event stream opens: at the start, and after the beacon node was
   restarted, which is when it may have become another. */
#include "base/metrics.h"
#include "beacon/bn_internal.h"
#include "codec/json.h"

static void set_version(aq_bn_endpoint *ep, const char *version) {
  if (ep->version[0]) aq_metric_clear(AQ_M_APP_BEACON_NODE_VERSION, AQ_LABELS(ep->version, ep->site));
  snprintf(ep->version, sizeof ep->version, "%s", version);
  if (ep->version[0]) aq_metric_set(AQ_M_APP_BEACON_NODE_VERSION, 1, AQ_LABELS(ep->version, ep->site));
}

static void answered(void *arg, aq_status st, const aq_httpc_res *res) {
  aq_bn_endpoint *ep = arg;
  ep->version_id = 0;
  if (st != AQ_OK || res->code != 200) return;
  yyjson_doc *doc = aq_json_parse(res->body, AQ_BN_SMALL_MAX, NULL);
  const char *version = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "data"), "version"));
  if (version) set_version(ep, version);
  yyjson_doc_free(doc);
}

void aq_bn_version_ask(aq_bn_endpoint *ep) {
  const aq_bn_cfg *cfg = &ep->bn->cfg;
  if (ep->version_id) return;
  aq_buf url = AQ_BUF(AQ_BN_URL_MAX);
  aq_url_request(&url, ep->url, "/eth/v1/node/version");
  const aq_httpc_req req = {.method = "GET",
                            .url = aq_buf_cstr(&url),
                            .headers = cfg->headers,
                            .timeout_ns = cfg->timeout_ns,
                            .body_max = AQ_BN_SMALL_MAX};
  const aq_httpc_cb cb = {.arg = ep, .done = answered};
  ep->version_id = cfg->http->start(cfg->http->ctx, &req, &cb);
  aq_buf_free(&url);
}

void aq_bn_version_stop(aq_bn_endpoint *ep) {
  if (ep->version_id) ep->bn->cfg.http->cancel(ep->bn->cfg.http->ctx, ep->version_id);
  ep->version_id = 0;
}
