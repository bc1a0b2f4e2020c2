/* fake/bn.h - a beacon node by script, behind fake/http.h: what simchain cannot say since it is a chain that goes on,
   with the same few duties in every epoch and answers that a test chooses. Both validators attest in slot 3 of an
   epoch, in committees 0 and 1; validator 1 proposes slot 5. It keeps what is posted to it. Whole networks and clients
   are tested on simchain (fake/chain.h).
   Limits: two validators, FAKE_BN_POSTS_MAX posts; what comes after them is not kept. */
#ifndef AQ_FAKE_BN_H
#define AQ_FAKE_BN_H

#include "cluster/lock.h"
#include "duty/payload.h"
#include "eth/types.h"
#include "fake/http.h"

enum { FAKE_BN_VALIDATORS = 2, FAKE_BN_FIRST_INDEX = 10, FAKE_BN_SPE = 8, FAKE_BN_POSTS_MAX = 64 };
#define FAKE_BN_ROOT "0x2121212121212121212121212121212121212121212121212121212121212121" /* of all there is */

typedef struct {
  char path[96], version[16], type[40];
  aq_buf body;
} fake_bn_post;

/* Zeroed before use; freed by fake_bn_free. */
typedef struct {
  const aq_dist_validator *validator; /* borrowed: the two, with the indices FAKE_BN_FIRST_INDEX and the next */
  aq_fork fork;                       /* of attestations and blocks */
  bool ssz_blocks;                    /* else JSON */
  /* What is wrong with it. */
  bool silent;  /* it does not answer; events never come */
  bool gone;    /* connections are refused */
  bool ill;     /* it knows validators and duties, and answers 503 to the rest */
  bool refuses; /* what is sent to its pools, with 400 */
  /* What it says. */
  bool moved;       /* a reorganisation: the duties are in other slots, committees and places */
  uint32_t exiting; /* bits of validators that leave */
  bool other_votes; /* the checkpoints of `votes` instead of those that all say */
  aq_att_data votes;
  uint8_t known_block[32]; /* one that it has besides */
  uint64_t known_slot;
  bool blinded, blobs; /* its blocks; with one blob */
  uint8_t parent;      /* first byte of their parent's root */
  uint8_t fee_recipient[20];
  /* What it was told and asked. */
  fake_bn_post post[FAKE_BN_POSTS_MAX];
  size_t post_cnt;
  uint32_t votes_asked, blocks_asked;
} fake_bn;

void fake_bn_handle(void *bn, fake_ex *ex); /* as fake_http.handle; other paths are answered with 404 */
void fake_bn_free(fake_bn *bn);

/* What every honest node would say: source epoch - 1, target epoch, one root for all. */
void fake_bn_data(const fake_bn *bn, aq_att_data *out, uint64_t slot, uint64_t committee);

/* ---- of use to other scripts ---- */

uint64_t fake_number_after(const char *url, const char *name); /* 0 where the name is not in it */
void fake_put_hex(aq_buf *out, const void *ptr, size_t len);   /* "0x...", in quotes */
void fake_put_att_data(aq_buf *out, const aq_att_data *d);     /* JSON */
/* Another value at this path. */
void fake_set_field(aq_buf *ssz, const aq_ssz_type *t, const char *path, const void *ptr, size_t len);
/* The path of a field of the block inside what travels, contents or a block. */
const char *fake_block_path(char out[64], const aq_ssz_type *t, const char *contents, const char *name);

#endif
