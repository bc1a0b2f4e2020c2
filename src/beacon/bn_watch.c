/* What the beacon nodes say of the chain, asked again while the node runs: the forks to come are taken from them, and
   who is of another chain or fork is not used. */
#include <stdio.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "beacon/bn_internal.h"

static uint64_t slot_now(const aq_bn *b) {
  uint64_t now_ns = aq_now_ns(b->cfg.env);
  return now_ns < b->clock.genesis_ns ? 0 : aq_slot_at(&b->clock, now_ns);
}

static uint64_t epoch_now(const aq_bn *b) { return aq_epoch_of(&b->clock, slot_now(b)); }

bool aq_bn_usable(const aq_bn_endpoint *ep) {
  return ep->view.fit != AQ_BN_OTHER_CHAIN && ep->view.fit != AQ_BN_BEHIND;
}

/* ---- the schedule ---- */

/* Whose word counts for what is to come. */
static bool counts(const aq_bn_endpoint *ep) { return ep->view.has_known && ep->view.fit != AQ_BN_OTHER_CHAIN; }

/* Of a fork that did not begin for us: one that began elsewhere begins here with the next epoch, so that nothing
   changes under a duty that is under way. */
static uint64_t begins(const aq_bn_endpoint *ep, aq_fork f, uint64_t epoch) {
  uint64_t told = ep->view.known.chain.fork[f].epoch;
  return told > epoch ? told : epoch + 1;
}

static uint32_t votes(const aq_bn *b, aq_fork f, uint64_t epoch, uint64_t at) {
  uint32_t cnt = 0;
  for (size_t i = 0; i < b->ep_cnt; i++) cnt += counts(&b->ep[i]) && begins(&b->ep[i], f, epoch) == at;
  return cnt;
}

/* The beacon node to be followed for a fork to come: one that has it, since the others may only be older; of these
   one of the most, the first. NULL: nobody said anything. */
static const aq_bn_endpoint *teller(const aq_bn *b, aq_fork f, uint64_t epoch) {
  const aq_bn_endpoint *best = NULL;
  uint32_t best_votes = 0;
  for (size_t i = 0; i < b->ep_cnt; i++) {
    const aq_bn_endpoint *ep = &b->ep[i];
    if (!counts(ep)) continue;
    bool has = ep->view.known.chain.fork[f].epoch != AQ_FAR_EPOCH;
    uint32_t cnt = has ? votes(b, f, epoch, begins(ep, f, epoch)) : 0;
    if (best && cnt <= best_votes) continue;
    best = ep;
    best_votes = cnt;
  }
  return best;
}

static void take(aq_bn *b, aq_fork f, uint64_t at, const uint8_t version[4], const aq_bn_endpoint *from) {
  aq_fork_at *ours = &b->shared->fork[f];
  if (ours->epoch == at && memcmp(ours->version, version, 4) == 0) return;
  char text[9];
  aq_hex_encode(text, aq_bytes_of(version, 4));
  AQ_LOG(AQ_LOG_INFO, "fork_schedule", AQ_STR("addr", from->site), AQ_STR("fork", aq_fork_name(f)),
         AQ_UINT("epoch", at), AQ_UINT("epoch_before", ours->epoch), AQ_STR("version", text));
  ours->epoch = at;
  memcpy(ours->version, version, 4);
}

static void merge(aq_bn *b) {
  uint64_t epoch = epoch_now(b);
  aq_chain *c = b->shared;
  for (aq_fork f = AQ_ALTAIR; f < AQ_FORK_CNT; f++) {
    const aq_bn_endpoint *ep = c->fork[f].epoch <= epoch ? NULL : teller(b, f, epoch);
    if (!ep) continue;
    const aq_fork_at *told = &ep->view.known.chain.fork[f];
    take(b, f, begins(ep, f, epoch), told->version, ep);
  }
  bool exits_known = !aq_bytes_is_zero(aq_bytes_of(c->capella_version, 4));
  if (!exits_known && c->fork[AQ_CAPELLA].epoch != AQ_FAR_EPOCH)
    memcpy(c->capella_version, c->fork[AQ_CAPELLA].version, 4);
}

/* ---- who fits ---- */

static const char *other_chain(const aq_bn *b, const aq_chain *told) {
  const aq_chain *ours = &b->loaded.chain;
  if (memcmp(told->genesis_validators_root, ours->genesis_validators_root, 32) != 0) return "genesis_validators_root";
  if (told->clock.genesis_ns != ours->clock.genesis_ns) return "genesis_time";
  if (told->clock.slot_ns != ours->clock.slot_ns) return "slot time";
  if (told->clock.slots_per_epoch != ours->clock.slots_per_epoch) return "SLOTS_PER_EPOCH";
  return memcmp(told->genesis_version, ours->genesis_version, 4) != 0 ? "GENESIS_FORK_VERSION" : NULL;
}

static aq_bn_fit fit_of(const aq_bn_endpoint *ep, char why[AQ_BN_WHY_MAX]) {
  const aq_bn_told *t = &ep->view.known;
  const aq_chain *ours = ep->bn->shared;
  uint64_t epoch = epoch_now(ep->bn);
  aq_fork here = aq_chain_fork_at(ours, epoch), there = aq_chain_fork_at(&t->chain, epoch);
  const char *differs = other_chain(ep->bn, &t->chain);
  if (!differs && here == there && memcmp(ours->fork[here].version, t->chain.fork[here].version, 4) != 0)
    differs = "the version of the present fork";
  if (differs) {
    snprintf(why, AQ_BN_WHY_MAX,
             "%s is on another chain, its %s differs: name beacon nodes of the cluster's network "
             "only, and restart this node if the chain itself was begun anew",
             ep->site, differs);
    return AQ_BN_OTHER_CHAIN;
  }
  if (there < here) {
    snprintf(why, AQ_BN_WHY_MAX, "%s does not know fork %s, which began in epoch %llu: upgrade that beacon node",
             ep->site, aq_fork_name(here), (unsigned long long)ours->fork[here].epoch);
    return AQ_BN_BEHIND;
  }
  if (there > here) {
    snprintf(why, AQ_BN_WHY_MAX,
             "%s has had fork %s since epoch %llu, of which this node learnt too late: it takes part "
             "from the next epoch on; upgrade beacon nodes before a fork",
             ep->site, aq_fork_name(there), (unsigned long long)t->chain.fork[there].epoch);
    return AQ_BN_AHEAD;
  }
  if (t->strange_epoch <= epoch && t->strange_epoch > t->chain.fork[there].epoch) {
    char version[9];
    aq_hex_encode(version, aq_bytes_of(t->strange_version, 4));
    snprintf(why, AQ_BN_WHY_MAX,
             "%s has had a fork of version 0x%s since epoch %llu, which this program does not know: "
             "upgrade aequa",
             ep->site, version, (unsigned long long)t->strange_epoch);
    return AQ_BN_STRANGE;
  }
  why[0] = 0;
  return AQ_BN_FITS;
}

static void set_fit(aq_bn_endpoint *ep, aq_bn_fit fit, const char *why) {
  aq_bn_view *v = &ep->view;
  bool same = fit == v->fit && strcmp(why, v->why) == 0, first = v->fit == AQ_BN_FIT_UNKNOWN;
  v->fit = fit;
  if (why != v->why) snprintf(v->why, sizeof v->why, "%s", why);
  if (same) return;
  if (fit != AQ_BN_FITS)
    AQ_LOG(AQ_LOG_ERROR, "beacon_node_unfit", AQ_STR("addr", ep->site), AQ_STR("err", v->why));
  else if (!first)
    AQ_LOG(AQ_LOG_INFO, "beacon_node_fits", AQ_STR("addr", ep->site));
}

/* ---- who differs in what is to come ---- */

static bool same_future(const aq_bn *b, const aq_bn_endpoint *ep, uint64_t epoch) {
  for (aq_fork f = AQ_ALTAIR; f < AQ_FORK_CNT; f++) {
    const aq_fork_at *ours = &b->shared->fork[f];
    if (ours->epoch > epoch && begins(ep, f, epoch) != ours->epoch) return false;
  }
  return ep->view.known.strange_epoch == AQ_FAR_EPOCH || ep->view.known.strange_epoch <= epoch;
}

static void put_future(aq_buf *out, const aq_bn_endpoint *ep, uint64_t epoch) {
  const aq_bn_told *t = &ep->view.known;
  size_t before = out->len;
  aq_buf_printf(out, "%s%s", out->len ? "; " : "", ep->site);
  size_t named = out->len;
  for (aq_fork f = AQ_ALTAIR; f < AQ_FORK_CNT; f++) {
    uint64_t at = t->chain.fork[f].epoch;
    if (at != AQ_FAR_EPOCH && at > epoch) aq_buf_printf(out, " %s=%llu", aq_fork_name(f), (unsigned long long)at);
  }
  if (t->strange_epoch != AQ_FAR_EPOCH)
    aq_buf_printf(out, " 0x%02x%02x%02x%02x=%llu", t->strange_version[0], t->strange_version[1], t->strange_version[2],
                  t->strange_version[3], (unsigned long long)t->strange_epoch);
  if (out->len == named) aq_buf_put_str(out, " no fork to come");
  if (out->failed) out->len = before;
}

/* One line that names them all, when it changed. */
static void compare(aq_bn *b) {
  uint64_t epoch = epoch_now(b);
  bool differ = false;
  aq_buf text = AQ_BUF(AQ_BN_WHY_MAX - 1);
  for (size_t i = 0; i < b->ep_cnt; i++) {
    const aq_bn_endpoint *ep = &b->ep[i];
    if (!counts(ep) || !aq_bn_usable(ep)) continue;
    differ |= !same_future(b, ep, epoch);
    put_future(&text, ep, epoch);
  }
  char now[AQ_BN_WHY_MAX];
  snprintf(now, sizeof now, "%s", differ ? aq_buf_cstr(&text) : "");
  aq_buf_free(&text);
  if (strcmp(now, b->disagree) == 0) return;
  memcpy(b->disagree, now, sizeof now);
  if (differ)
    AQ_LOG(AQ_LOG_WARN, "beacon_nodes_disagree", AQ_STR("forks", b->disagree),
           AQ_STR("note",
                  "upgrade the beacon nodes that lack a fork before it begins; a version that stands for a name "
                  "is a fork for which aequa must be upgraded"));
}

static void judge_all(aq_bn *b) {
  merge(b);
  for (size_t i = 0; i < b->ep_cnt; i++) {
    char why[AQ_BN_WHY_MAX];
    aq_bn_endpoint *ep = &b->ep[i];
    if (ep->view.has_known) set_fit(ep, fit_of(ep, why), why);
  }
  compare(b);
}

void aq_bn_pass_over(aq_bn_endpoint *ep, const char *why) {
  char text[AQ_BN_WHY_MAX];
  snprintf(text, sizeof text, "%s: %s", ep->site, why);
  set_fit(ep, AQ_BN_OTHER_CHAIN, text);
}

void aq_bn_watch_health(const aq_bn *b, aq_bn_health *out) {
  const aq_bn_endpoint *bad = NULL;
  bool any_fits = false;
  out->some_unfit = false;
  for (size_t i = 0; i < b->ep_cnt; i++) {
    const aq_bn_endpoint *ep = &b->ep[i];
    if (ep->view.fit == AQ_BN_FITS) any_fits = true;
    if (ep->view.why[0] && !bad) bad = ep;
    out->some_unfit |= ep->unfit_run >= AQ_BN_UNFIT_RUN;
  }
  out->unfit = b->unfit_run >= AQ_BN_UNFIT_RUN;
  out->disagree = bad || b->disagree[0];
  out->fork_mismatch = bad && !any_fits;
  snprintf(out->why, sizeof out->why, "%s", bad ? bad->view.why : b->disagree);
}

/* ---- asking ---- */

static bool same_told(const aq_bn_told *a, const aq_bn_told *b) {
  for (aq_fork f = AQ_PHASE0; f < AQ_FORK_CNT; f++) {
    if (a->chain.fork[f].epoch != b->chain.fork[f].epoch) return false;
    if (memcmp(a->chain.fork[f].version, b->chain.fork[f].version, 4) != 0) return false;
  }
  return a->chain.clock.genesis_ns == b->chain.clock.genesis_ns && a->chain.clock.slot_ns == b->chain.clock.slot_ns &&
         a->chain.clock.slots_per_epoch == b->chain.clock.slots_per_epoch && a->strange_epoch == b->strange_epoch &&
         memcmp(a->strange_version, b->strange_version, 4) == 0 &&
         memcmp(a->chain.genesis_version, b->chain.genesis_version, 4) == 0 &&
         memcmp(a->chain.genesis_validators_root, b->chain.genesis_validators_root, 32) == 0;
}

static void part_ask(aq_bn_endpoint *ep);

static void start_over(aq_bn_endpoint *ep) {
  aq_bn_view *v = &ep->view;
  v->again = false;
  v->part = AQ_BN_GENESIS;
  v->told = (aq_bn_told){.strange_epoch = AQ_FAR_EPOCH};
  part_ask(ep);
}

/* A byte that was turned on its way must not move a fork: what is new is asked for once more, the first time at
   once. */
static void told_all(aq_bn_endpoint *ep) {
  aq_bn_view *v = &ep->view;
  bool old = v->has_known && same_told(&v->told, &v->known);
  if (old || same_told(&v->told, &v->last)) {
    v->known = v->told;
    v->has_known = true;
  } else {
    v->again |= !v->pressed;
    v->pressed = v->due = true;
  }
  v->last = v->told;
  judge_all(ep->bn);
}

static void part_answered(void *arg, aq_status st, const aq_httpc_res *res) {
  aq_bn_endpoint *ep = arg;
  aq_bn_view *v = &ep->view;
  v->http_id = 0;
  aq_bn_heard(ep, st == AQ_OK ? res->code : 0);
  if (st == AQ_OK)
    st = res->code >= 200 && res->code <= 299 ? aq_bn_told_take(&v->told, v->part, res->body, NULL) : AQ_E_REFUSED;
  if (st == AQ_OK && ++v->part < AQ_BN_PARTS) {
    part_ask(ep);
    return;
  }
  if (st == AQ_OK)
    told_all(ep);
  else
    v->due = true;
  if (v->again) start_over(ep);
}

static void part_ask(aq_bn_endpoint *ep) {
  const aq_bn_cfg *cfg = &ep->bn->cfg;
  aq_buf url = AQ_BUF(AQ_BN_URL_MAX);
  aq_url_request(&url, ep->url, aq_bn_part_path[ep->view.part]);
  const aq_httpc_req req = {.method = "GET",
                            .url = aq_buf_cstr(&url),
                            .headers = cfg->headers,
                            .timeout_ns = cfg->timeout_ns,
                            .body_max = AQ_BN_SMALL_MAX};
  const aq_httpc_cb cb = {.arg = ep, .done = part_answered};
  ep->view.http_id = cfg->http->start(cfg->http->ctx, &req, &cb);
  aq_buf_free(&url);
}

void aq_bn_watch_ask(aq_bn_endpoint *ep) {
  if (!ep->bn->shared) return;
  ep->view.due = ep->view.pressed = false;
  if (ep->view.http_id)
    ep->view.again = true;
  else
    start_over(ep);
}

void aq_bn_watch_doubt(aq_bn_endpoint *ep) {
  if (!ep->bn->shared) return;
  uint64_t slot = slot_now(ep->bn);
  if (ep->view.doubt_slot == slot + 1) return;
  ep->view.doubt_slot = slot + 1;
  aq_bn_watch_ask(ep);
}

bool aq_bn_version_fits(aq_bn *b, aq_fork fork, uint64_t epoch) {
  const aq_chain *c = b->shared ? b->shared : &b->loaded.chain;
  if (!b->chain_known || aq_chain_fork_at(c, epoch) == fork) return true;
  if (b->answering) aq_bn_watch_doubt(b->answering);
  return false;
}

/* Near both ends of an epoch: after the first the verdicts are of the new epoch, before the last whatever begins with
   the next one is known. Who does not fit, or said something new, is asked each slot. */
static void tick(void *arg) {
  aq_bn *b = arg;
  uint64_t slot = slot_now(b), epoch = epoch_now(b), spe = b->clock.slots_per_epoch;
  bool all = slot % spe == 0 || slot % spe == spe - 1 || epoch != b->watched_epoch;
  b->watched_epoch = epoch;
  judge_all(b);
  for (size_t i = 0; i < b->ep_cnt; i++) {
    aq_bn_view *v = &b->ep[i].view;
    if (!v->http_id && (all || v->due || v->fit != AQ_BN_FITS || b->ep[i].away)) aq_bn_watch_ask(&b->ep[i]);
  }
  aq_timer_after(b->cfg.env, &b->watch_timer, aq_bn_quiet_ns(b), tick, b);
}

void aq_bn_watch_chain(aq_bn *b, aq_chain *chain) {
  AQ_ASSERT(b->chain_known && !b->shared);
  b->shared = chain;
  b->watched_epoch = epoch_now(b);
  for (size_t i = 0; i < b->ep_cnt; i++) b->ep[i].view.last = b->loaded;
  aq_bn_view *v = &b->loaded_from->view;
  v->known = b->loaded;
  v->has_known = true;
  v->fit = AQ_BN_FITS;
  aq_timer_after(b->cfg.env, &b->watch_timer, aq_bn_quiet_ns(b), tick, b);
}

void aq_bn_watch_stop(aq_bn *b) {
  aq_timer_cancel(b->cfg.env, &b->watch_timer);
  for (size_t i = 0; i < b->ep_cnt; i++) {
    aq_bn_view *v = &b->ep[i].view;
    if (v->http_id) b->cfg.http->cancel(b->cfg.http->ctx, v->http_id);
    v->http_id = 0;
  }
  b->shared = NULL;
}
