/* Made before the node starts and ended with it: the temporary directory holds nothing that is worth keeping. */
#include "lab/throwaway.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/adapters.h"
#include "base/assert.h"
#include "base/log.h"
#include "cluster/create.h"
#include "simchain/beacon.h"
#include "vc/vc.h"

enum { SLOTS_PER_EPOCH = 8, GENESIS_DELAY_S = 2 };
#define SLOT_NS AQ_SECONDS(4)

typedef struct {
  aq_loop *loop;
  char dir[256], node_dir[280], url[64], vapi_url[64];
  aq_network network;
  aq_cluster *cluster;
  uint8_t pubkey[1][48];
  aq_beacon *beacon;
  aq_http_server *server;
  aq_sqlite *protection;
  aq_curl *curl;
  aq_vc *vc;
} throwaway;

static aq_status make_dir(throwaway *t, aq_err *err) {
  const char *const base[] = {getenv("TMPDIR"), "/data", "/tmp", "."};
  for (size_t i = 0; i < AQ_COUNT(base); i++) {
    if (!base[i] || !base[i][0]) continue;
    snprintf(t->dir, sizeof t->dir, "%.200s/aequa-throwaway-XXXXXX", base[i]);
    if (mkdtemp(t->dir)) {
      snprintf(t->node_dir, sizeof t->node_dir, "%s/node0", t->dir);
      return AQ_OK;
    }
  }
  t->dir[0] = 0;
  return aq_fail(err, AQ_E_IO,
                 "no cluster was found, and no directory for a throwaway one can be made: mount one at /data");
}

static aq_status make_cluster(throwaway *t, aq_err *err) {
  static const aq_validator_address address = {.fee_recipient = "0x0000000000000000000000000000000000000001",
                                               .withdrawal = "0x0000000000000000000000000000000000000001"};
  char uuid[37], timestamp[40];
  uint64_t now_ns = aq_now_ns(aq_loop_env(t->loop));
  aq_uuid_random(uuid);
  snprintf(timestamp, sizeof timestamp, "2026-01-01T00:00:00Z");
  t->network = (aq_network){.name = "throwaway",
                            .chain_id = 1337,
                            .genesis_version = {0x50, 0, 0, 0x39},
                            .capella_version = {0x53, 0, 0, 0x39},
                            .genesis_time_s = now_ns / AQ_NS_PER_SEC + GENESIS_DELAY_S,
                            .slot_s = 4};
  aq_definition def = {.name = "throwaway",
                       .uuid = uuid,
                       .timestamp = timestamp,
                       .dkg_algorithm = "default",
                       .consensus_protocol = "",
                       .target_gas_limit = 60000000,
                       .operator_cnt = 1,
                       .threshold = 1,
                       .validator_cnt = 1,
                       .addresses = (aq_validator_address *)&address};
  const aq_cluster_cfg cfg = {.def = &def, .network = &t->network, .registration_s = t->network.genesis_time_s};
  aq_status st = aq_cluster_make(&t->cluster, &cfg, err);
  if (st == AQ_OK) st = aq_cluster_write(t->cluster, t->dir, true, err);
  if (st == AQ_OK) memcpy(t->pubkey[0], t->cluster->lock->validators[0].pubkey, 48);
  return st;
}

static aq_status start_chain(throwaway *t, aq_err *err) {
  aq_beacon_cfg bc = {.env = aq_loop_env(t->loop),
                      .pubkey = (const uint8_t(*)[48])t->pubkey,
                      .validator_cnt = 1,
                      .genesis_ns = AQ_SECONDS(t->network.genesis_time_s),
                      .slot_ns = SLOT_NS,
                      .slots_per_epoch = SLOTS_PER_EPOCH};
  memcpy(bc.genesis_version, t->network.genesis_version, 4);
  t->beacon = aq_beacon_new(&bc);
  AQ_ASSERT(t->beacon); /* the key is one that we have made */
  const aq_http_server_cfg hc = {.host = "127.0.0.1", .port = 0, .conns_max = 32, .idle_timeout_s = 120};
  aq_status st = aq_http_server_new(&t->server, t->loop, &hc, aq_beacon_handler(t->beacon), err);
  if (st != AQ_OK) return st;
  snprintf(t->url, sizeof t->url, "http://127.0.0.1:%u", aq_http_server_port(t->server));
  aq_beacon_start(t->beacon);
  return AQ_OK;
}

static void stop(void *self) {
  throwaway *t = self;
  if (t->protection) aq_sqlite_close(t->protection);
  aq_vc_free(t->vc);
  aq_curl_free(t->curl);
  aq_http_server_free(t->server);
  aq_beacon_free(t->beacon);
  t->protection = NULL, t->vc = NULL, t->curl = NULL, t->server = NULL, t->beacon = NULL;
}

static void end(void *self) {
  throwaway *t = self;
  aq_cluster_free(t->cluster);
  if (t->dir[0]) aq_dir_remove(t->dir);
  free(t);
}

static aq_status start(void **self, aq_stand_in_place *out, aq_loop *l, aq_err *err) {
  throwaway *t = calloc(1, sizeof *t);
  AQ_ASSERT(t);
  t->loop = l;
  aq_status st = make_dir(t, err);
  if (st == AQ_OK) st = make_cluster(t, err);
  if (st == AQ_OK) st = start_chain(t, err);
  if (st != AQ_OK) {
    stop(t);
    end(t);
    return st;
  }
  AQ_LOG(AQ_LOG_WARN, "throwaway_cluster", AQ_STR("dir", t->dir),
         AQ_STR("note",
                "no cluster was found: this node runs a throwaway cluster of one on a simulated chain; "
                "mount a cluster directory or give --data-dir for a real one"));
  *self = t;
  *out = (aq_stand_in_place){.data_dir = t->node_dir, .beacon = t->url, .network = &t->network};
  return AQ_OK;
}

static aq_status serve(void *self, uint16_t vapi_port, aq_err *err) {
  throwaway *t = self;
  char path[300];
  snprintf(path, sizeof path, "%s/validator.db", t->dir);
  aq_sqlite_cfg sc = {.path = path};
  memcpy(sc.lock_hash, t->cluster->lock->lock_hash, 32);
  aq_status st = aq_sqlite_open(&t->protection, t->loop, &sc, err);
  if (st != AQ_OK) return st;
  snprintf(t->vapi_url, sizeof t->vapi_url, "http://127.0.0.1:%u", vapi_port);
  t->curl = aq_curl_new(t->loop);
  const aq_vc_cfg vc = {.env = aq_loop_env(t->loop),
                        .http = aq_curl_port(t->curl),
                        .store = aq_sqlite_port(t->protection),
                        .url = t->vapi_url,
                        .secret = (const uint8_t(*)[32])t->cluster->share,
                        .key_cnt = 1,
                        .ssz_blocks = true};
  t->vc = aq_vc_new(&vc);
  aq_vc_start(t->vc);
  return AQ_OK;
}

const aq_stand_in aq_throwaway = {.start = start, .serve = serve, .stop = stop, .free = end};
