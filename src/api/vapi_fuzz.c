/* A request to the validator API of a node that has agreed on an attestation and a block. Input: one letter, the fork
   (upper case: the client leaves at once), or a digit, a node in trouble; then text as on the wire: "METHOD target",
   header lines, an empty line, the body. Every request that is answered gets one whole answer with a status, whatever
   it holds; the fake server checks the rest. */
#include "fake/fuzz_json.h"
#include "fake/vapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TEXT_MAX = 1 << 20, INPUTS_MAX = 512 /* before the world is made anew */, TROUBLED_MAX = 40 };
enum { BN_DOWN, BN_MUTE, NOT_READY, NO_BN, REAL_NETWORK, TSS_OFF, TROUBLES };

typedef struct {
  fv *f;
  uint32_t inputs;
} slot;

static fv *world_new(aq_fork fork) {
  char target[512], hex[193];
  uint8_t sig[96];
  fv *f = fv_new(&(fv_cfg){.fork = fork});
  fv_run_to(f, FV_PROPOSE, 0);
  fv_sign_epoch(f, 1, sig, FV_PROPOSE / FV_SPE);
  aq_hex_encode(hex, aq_bytes_of(sig, sizeof sig));
  snprintf(target, sizeof target, "/eth/v3/validator/blocks/13?randao_reveal=0x%s", hex);
  fake_res *r = fv_get(f, target);
  AQ_ASSERT(r->code == 200);
  fake_res_free(r);
  return f;
}

static fv *world_of(aq_fork fork) {
  static slot cached[AQ_FORK_CNT];
  slot *s = &cached[fork];
  if (s->f && s->inputs++ < INPUTS_MAX) return s->f;
  if (s->f) fv_free(s->f);
  *s = (slot){world_new(fork), 0};
  return s->f;
}

/* Nothing was agreed on, and the answers that do not come are waited for. */
static fv *troubled(uint32_t trouble) {
  static slot cached[TROUBLES];
  slot *s = &cached[trouble];
  if (s->f && s->inputs++ < TROUBLED_MAX) return s->f;
  if (s->f) fv_free(s->f);
  *s = (slot){fv_new(&(fv_cfg){.fork = AQ_FULU,
                               .no_bn = trouble == NO_BN,
                               .not_ready = trouble == NOT_READY,
                               .real_network = trouble == REAL_NETWORK,
                               .tss_off = trouble == TSS_OFF}),
              0};
  s->f->beacon.gone = trouble == BN_DOWN, s->f->beacon.silent = trouble == BN_MUTE;
  return s->f;
}

static void forget_log(fake_http *h) {
  for (size_t i = 0; i < h->log_cnt; i++) free(h->log[i]);
  h->log_cnt = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len < 1 || len > TEXT_MAX) return 0;
  bool leaves = data[0] >= 'A' && data[0] <= 'Z', trouble = data[0] >= '0' && data[0] <= '9';
  fv *f =
      trouble ? troubled((data[0] - '0') % (uint32_t)TROUBLES) : world_of((aq_fork)((data[0] | 0x20u) % AQ_FORK_CNT));
  fake_req q;
  char *text = fake_read(&q, data + 1, len - 1);
  fake_res *r = fake_send(aq_vapi_handler(f->vapi), &q);
  if (!leaves) fake_env_run_for(&f->env, trouble ? AQ_SECONDS(3) : AQ_MILLIS(8));
  AQ_ASSERT(!r->ended || (r->code >= 200 && r->code <= 599));
  fake_res_free(r);
  fake_env_drain(&f->env);
  forget_log(&f->http);
  free(text);
  return 0;
}

FUZZ_JSON_MUTATOR(fuzz_json_body(data, size))
