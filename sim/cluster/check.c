/* What is promised, watched from outside. Nothing here asks a node for its opinion: messages are read on their way,
   signatures at the beacon nodes, disks as they are. */
#include <malloc.h>
#include <stdlib.h>

#include "base/assert.h"
#include "cluster/eip712.h"
#include "cluster/pubkeys.h"
#include "codec/pb.h"
#include "consensus/consensus_internal.h"
#include "crypto/hash.h"
#include "flow/workflow_internal.h"
#include "qbft/qbft_wire.h"
#include "sim/cluster/world.h"

enum {
  VOTES_MAX = SIM_SLOTS_MAX,
  GRACE_SLOTS = 3,
  TAIL_SLOTS = 2,
  INSTANCES_MAX = 48, /* of consensus, at a node of an honest cluster: duties live for about a slot, info_sync longer */
  SESSIONS_PER_KEY = 48 /* of signing, a validator: as long as an epoch and a few slots */
};

typedef struct {
  uint64_t source, target;
  uint8_t root[32];
} vote;

typedef struct {
  vote item[VOTES_MAX];
  uint32_t cnt;
} votes;

typedef struct {
  aq_list link;
  aq_duty duty;
  uint8_t hash[32];
  uint32_t by;
} decision;

typedef struct {
  aq_list link;
  uint32_t op, validator;
  uint64_t slot;
  uint8_t root[32];
} block_share;

/* A consensus vote as it left an operator's node, whichever process of it. */
typedef struct {
  aq_list link;
  aq_duty duty;
  aq_qbft_msg m; /* without justification */
  uint64_t sent_ns;
  bool untaken; /* for a duty so far ahead that nobody takes it: it tells a node that lost it nothing */
  bool told;    /* somebody got it: what died with its process on the way misleads nobody */
} sent_vote;

struct sim_checks {
  aq_list sent[SIM_NODES_MAX][SIM_SLOTS_MAX];
  votes group[SIM_VALIDATORS_MAX];                   /* what the chain has seen signed */
  votes share[SIM_NODES_MAX][SIM_VALIDATORS_MAX];    /* what a node sent to others */
  bool attested[SIM_VALIDATORS_MAX][SIM_SLOTS_MAX];  /* by slot */
  uint32_t voted[SIM_VALIDATORS_MAX][SIM_SLOTS_MAX]; /* the same, by whose clients: honest operators */
  bool proposed[SIM_SLOTS_MAX];
  uint8_t block[SIM_SLOTS_MAX][32]; /* signed by the cluster */
  bool has_block[SIM_SLOTS_MAX];
  aq_list decisions, proposals, block_shares;
  aq_map validators;
};

static sim_checks *checks(sim_world *w) {
  if (w->checks) return w->checks;
  w->checks = calloc(1, sizeof *w->checks);
  AQ_ASSERT(w->checks);
  for (uint32_t op = 0; op < SIM_NODES_MAX; op++) {
    for (uint32_t slot = 0; slot < SIM_SLOTS_MAX; slot++) aq_list_init(&w->checks->sent[op][slot]);
  }
  aq_list_init(&w->checks->decisions);
  aq_list_init(&w->checks->proposals);
  aq_list_init(&w->checks->block_shares);
  aq_map_init(&w->checks->validators, 48, SIM_VALIDATORS_MAX, NULL);
  for (uint32_t v = 0; v < w->validators; v++)
    AQ_MUST(aq_map_put(&w->checks->validators, w->dist[v].pubkey, &w->lock.validators[v]) == AQ_OK);
  return w->checks;
}

/* Double votes and surround votes, consensus-specs is_slashable_attestation_data. */
static bool slashable(const vote *a, const vote *b) {
  if (memcmp(a->root, b->root, 32) == 0) return false;
  if (a->target == b->target) return true;
  return (a->source < b->source && b->target < a->target) || (b->source < a->source && a->target < b->target);
}

static const vote *add(votes *all, const aq_att_data *d, const uint8_t root[32]) {
  vote v = {.source = d->source_epoch, .target = d->target_epoch};
  memcpy(v.root, root, 32);
  for (uint32_t i = 0; i < all->cnt; i++) {
    if (memcmp(all->item[i].root, root, 32) == 0) return NULL;
  }
  for (uint32_t i = 0; i < all->cnt; i++) {
    if (slashable(&all->item[i], &v)) return &all->item[i];
  }
  if (all->cnt < VOTES_MAX) all->item[all->cnt++] = v;
  return NULL;
}

/* ---- the chain ---- */

void sim_check_attested(sim_world *w, uint64_t validator, const aq_att_data *d, const uint8_t root[32]) {
  if (validator >= w->validators) return;
  sim_checks *c = checks(w);
  if (d->target_epoch != d->slot / w->slots_per_epoch || d->source_epoch > d->target_epoch ||
      !sim_chain_told(w, d->slot, validator, true))
    sim_fail(w, "validator %llu attested %llu -> %llu at slot %llu, which is not its duty",
             (unsigned long long)validator, (unsigned long long)d->source_epoch, (unsigned long long)d->target_epoch,
             (unsigned long long)d->slot);
  const vote *old = add(&c->group[validator], d, root);
  if (old) {
    sim_fail(w, "SLASHABLE: validator %llu attested %llu -> %llu and %llu -> %llu", (unsigned long long)validator,
             (unsigned long long)old->source, (unsigned long long)old->target, (unsigned long long)d->source_epoch,
             (unsigned long long)d->target_epoch);
  }
  if (d->slot < SIM_SLOTS_MAX && sim_chain_counts(w, d)) c->attested[validator][d->slot] = true;
}

/* With the builder off a block is full, and pays who the lock says. */
static void check_fee(sim_world *w, const aq_beacon_block *b) {
  uint8_t want[20];
  const aq_ssz_type *t = aq_t_signed_block(b->fork);
  if (b->blinded && !w->builder_api)
    sim_fail(w, "the block of slot %llu is blinded although the builder is off", (unsigned long long)b->slot);
  if (b->ssz.len == 0 || w->builder_api) return; /* consensus.md 5.1: not judged either */
  AQ_MUST(aq_address_parse(want, w->addresses[b->proposer].fee_recipient) == AQ_OK);
  aq_bytes got = aq_ssz_get(t, b->ssz, "message.body.execution_payload.fee_recipient");
  if (!aq_bytes_eq(got, aq_bytes_of(want, sizeof want)))
    sim_fail(w, "the block of slot %llu pays a stranger", (unsigned long long)b->slot);
}

void sim_check_proposed(sim_world *w, const aq_beacon_block *b, bool counts) {
  sim_checks *c = checks(w);
  if (b->slot >= SIM_SLOTS_MAX || b->proposer >= w->validators) return;
  check_fee(w, b);
  c->proposed[b->slot] |= counts;
  w->out->blinded += b->blinded && !c->has_block[b->slot];
  if (c->has_block[b->slot] && memcmp(c->block[b->slot], b->root, 32) != 0)
    sim_fail(w, "SLASHABLE: two blocks of slot %llu signed", (unsigned long long)b->slot);
  c->has_block[b->slot] = true;
  memcpy(c->block[b->slot], b->root, 32);
}

void sim_check_forged(sim_world *w, uint32_t op, uint64_t slot, uint64_t validator) {
  if (w->liars >> op & 1) return;
  /* More than the cluster can spare did not know the fork: they agree on its domain of before (KNOWN_RISKS). */
  if (slot < SIM_SLOTS_MAX && (uint32_t)__builtin_popcount(w->unlearnt[slot / w->slots_per_epoch]) > w->f) return;
  /* Before Electra a vote names a seat, not a validator. */
  if (sim_chain_differed(w, op, slot / w->slots_per_epoch)) return;
  sim_fail(w, "node %u submitted a signature of validator %llu for slot %llu that does not verify", op,
           (unsigned long long)validator, (unsigned long long)slot);
}

/* ---- agreement ---- */

static void remember(aq_list *l, aq_duty duty, const uint8_t hash[32], uint32_t by) {
  decision *d = calloc(1, sizeof *d);
  AQ_ASSERT(d);
  d->duty = duty, d->by = by;
  memcpy(d->hash, hash, 32);
  aq_list_push(l, &d->link);
}

void sim_check_voted(sim_node *n, const aq_store_vote *v) {
  if (v->duty.type != AQ_DUTY_INFO_SYNC) n->voted_ns = n->w->time.now_ns;
  if (v->msg_type == AQ_QBFT_PRE_PREPARE) remember(&checks(n->w)->proposals, v->duty, v->value_hash, n->op);
}

/* Where nobody lies the value is one that a leader proposed. */
static void check_proposed(sim_node *n, const aq_store_decided *d) {
  sim_world *w = n->w;
  if (w->liars) return;
  AQ_LIST_EACH(&checks(w)->proposals, p, decision, link) {
    if (aq_duty_eq(p->duty, d->duty) && memcmp(p->hash, d->hash, 32) == 0) return;
  }
  sim_fail(w, "node %u decided what nobody proposed: slot %llu %s", n->op, (unsigned long long)d->duty.slot,
           aq_duty_name(d->duty.type));
}

static uint64_t slots_before_ns(const sim_world *w, uint64_t slot, uint64_t before) {
  return slot > before ? w->genesis_ns + (slot - before) * w->slot_ns : 0;
}

static uint64_t slot_end_ns(const sim_world *w, uint64_t slot) { return w->genesis_ns + (slot + 1) * w->slot_ns; }

static uint32_t scheduled(const sim_world *w, sim_fault_kind k) {
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    cnt += w->fault[i].kind == k && w->opts.keep >> i & 1;
  }
  return cnt;
}

/* Operators that a fault touched from some slots before this one on to its end. Who could not be told of a fork in
   the epoch before it, because of a fault, is in trouble for the fork's first epoch, and for each one that begins
   within some slots of such a fault while it still could not. */
static uint32_t in_trouble(const sim_world *w, uint64_t slot) {
  uint32_t mask = sim_faulty_ops(w, slots_before_ns(w, slot, GRACE_SLOTS), slot_end_ns(w, slot));
  uint64_t epoch = slot / w->slots_per_epoch, first = epoch * w->slots_per_epoch;
  if (epoch >= w->fork_epoch) {
    uint64_t before = GRACE_SLOTS + (epoch == w->fork_epoch ? w->slots_per_epoch : 0);
    uint32_t could_not = sim_faulty_ops(w, slots_before_ns(w, first, before), slots_before_ns(w, first, 0));
    if (scheduled(w, SIM_BN_FIRST)) could_not |= w->paired; /* the other one's answer takes a time-out longer */
    mask |= w->unlearnt[epoch] & could_not;
  }
  return mask;
}

/* Where only liars trouble the cluster they cost a round each, and honest views that differ the f+1 rounds in which
   they are asked for; with both, liars and the up to f honest nodes of a view that too few share may lead those that
   follow. Two such faults make more than two views: then the rules lapse at last. */
static uint32_t latest_round(const sim_world *w) {
  uint32_t hostile = (uint32_t)__builtin_popcount(w->liars), splits = scheduled(w, SIM_SPLIT);
  if (splits > 1) return 4 * w->f + 4 + hostile;
  return splits && hostile ? 2 * w->f + 2 + hostile : w->f + 2;
}

static void check_round(const sim_node *n, const aq_store_decided *d) {
  sim_world *w = n->w;
  bool judged = d->duty.type == AQ_DUTY_ATTESTER || d->duty.type == AQ_DUTY_PROPOSER;
  if (!judged || w->slot_ns <= AQ_SECONDS(5) || in_trouble(w, d->duty.slot) & ~w->liars) return;
  if (sim_chain_moved(w, d->duty.slot, d->duty.type == AQ_DUTY_ATTESTER)) return;
  uint32_t latest = latest_round(w);
  if (d->round > latest)
    sim_fail(w, "node %u decided in round %llu, later than %u: slot %llu %s", n->op, (unsigned long long)d->round,
             latest, (unsigned long long)d->duty.slot, aq_duty_name(d->duty.type));
}

void sim_check_decided(sim_node *n, const aq_store_decided *d) {
  sim_world *w = n->w;
  sim_checks *c = checks(w);
  if (n->nature == SIM_LIAR) return;
  AQ_LIST_EACH(&c->decisions, it, decision, link) {
    if (!aq_duty_eq(it->duty, d->duty)) continue;
    if (memcmp(it->hash, d->hash, 32) != 0) {
      sim_fail(w, "node %u and node %u decided differently: slot %llu %s", it->by, n->op,
               (unsigned long long)d->duty.slot, aq_duty_name(d->duty.type));
    }
    return;
  }
  check_proposed(n, d);
  check_round(n, d);
  remember(&c->decisions, d->duty, d->hash, n->op);
}

/* Faults that bring a validator client, or the cluster, to sign what an earlier record forbids. */
static bool signs_wrongly(const sim_world *w, uint32_t op) {
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    sim_fault_kind k = w->fault[i].kind;
    /* Ahead of time, under the fork of before. */
    if (k == SIM_SET && w->fault[i].a == op && w->fork_epoch < SIM_SLOTS_MAX && w->opts.keep >> i & 1) return true;
    bool wrong = k == SIM_BN_LIE || k == SIM_BN_FORK || k == SIM_VC_OLD_DB || k == SIM_OLD_STORE || k == SIM_DISK_LOST;
    if (wrong && w->opts.keep >> i & 1) return true;
  }
  return w->liars != 0;
}

/* An honest node makes nothing that its own journal forbids: the guard is for what no test found. */
void sim_check_refused(sim_node *n, bool of_consensus, aq_duty duty) {
  sim_world *w = n->w;
  if (n->nature != SIM_HONEST || w->doubled >> n->op & 1 || (!of_consensus && signs_wrongly(w, n->op))) return;
  sim_fail(w, "the journal of node %u refused its own %s: slot %llu %s", n->op, of_consensus ? "vote" : "signature",
           (unsigned long long)duty.slot, aq_duty_name(duty.type));
}

/* Else nobody could hand it on after a restart. */
void sim_check_bytes(sim_node *n, aq_duty duty, const uint8_t hash[32], const aq_store_blob *blob) {
  uint8_t is[32] = {0};
  if (blob) aq_merkle_bytes(is, blob->value, -1);
  if (blob && memcmp(is, hash, 32) == 0) return;
  sim_fail(n->w, "node %u recorded a decision %s: slot %llu %s", n->op, blob ? "with other bytes" : "without its bytes",
           (unsigned long long)duty.slot, aq_duty_name(duty.type));
}

/* ---- what leaves a node ---- */

bool sim_first_vote(aq_bytes *raw, size_t *end, aq_bytes msg) {
  enum { FIELD_1 = 0x0a };
  uint64_t len;
  size_t used;
  if (msg.len == 0 || msg.ptr[0] != FIELD_1) return false;
  if (aq_uvarint_get(&len, &used, aq_bytes_sub(msg, 1, msg.len - 1)) != AQ_OK || len > msg.len - 1 - used) return false;
  *raw = aq_bytes_sub(msg, 1 + used, (size_t)len);
  *end = 1 + used + (size_t)len;
  return true;
}

static bool same_vote(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  return a->type == b->type && a->round == b->round && a->prepared_round == b->prepared_round &&
         aq_hash_eq(&a->value, &b->value) && aq_hash_eq(&a->prepared_value, &b->prepared_value);
}

/* m came after o, of the same duty: does it say that o was not? */
static bool contradicts(const aq_qbft_msg *o, const aq_qbft_msg *m) {
  bool moves = m->type == AQ_QBFT_PREPARE || m->type == AQ_QBFT_COMMIT, changes = m->type == AQ_QBFT_ROUND_CHANGE;
  if (o->type == m->type && o->round == m->round) return true;
  if (moves && o->type == AQ_QBFT_ROUND_CHANGE && m->round < o->round) return true;
  if (changes && o->type == AQ_QBFT_COMMIT && m->prepared_round < o->round) return true;
  return changes && o->type == AQ_QBFT_ROUND_CHANGE && m->prepared_round < o->prepared_round;
}

/* Faults in which the peers may not have the votes that an old copy of the store lacks, or cannot say so in time. */
static bool hides_from_peers(sim_fault_kind k) {
  switch ((int)k) {
    case SIM_LOSS:
    case SIM_DELAY:
    case SIM_REORDER:
    case SIM_PARTITION:
    case SIM_ONE_WAY:
    case SIM_ISOLATE:
    case SIM_RESET:
    case SIM_SKEW:
    case SIM_STEP:
    case SIM_CRASH:
    case SIM_CRASH_ALL:
    case SIM_UPGRADE:
    case SIM_DISK_LOST:
    case SIM_OLD_STORE:
    case SIM_DOUBLE:
    case SIM_TWIN:
    case SIM_ACK_CRASH: return true;
    default: return false;
  }
}

/* The node's store was put back while nobody could tell it. */
static bool unknowing(const sim_node *n) {
  const sim_world *w = n->w;
  if (n->old_ns[1] == 0) return false;
  uint64_t from_ns = n->old_ns[0] - w->slot_ns, until_ns = n->old_ns[1] + AQ_SECONDS(3);
  for (uint32_t i = 0; i < w->fault_cnt; i++) {
    const sim_fault *f = &w->fault[i];
    if (!(w->opts.keep >> i & 1) || !hides_from_peers(f->kind)) continue;
    if (f->kind == SIM_OLD_STORE && f->a == n->op && f->until_ns <= n->old_ns[1]) continue;
    if (f->from_ns < until_ns && (f->kind == SIM_STEP || f->until_ns + w->slot_ns > from_ns)) return true;
  }
  return false;
}

/* No node takes back what it said, restarts included. */
static void check_contradiction(sim_node *n, aq_duty duty, const aq_qbft_msg *m) {
  sim_world *w = n->w;
  if (duty.slot >= SIM_SLOTS_MAX || w->doubled >> n->op & 1) return;
  aq_list *sent = &checks(w)->sent[n->op][duty.slot];
  const aq_qbft_msg *against = NULL;
  AQ_LIST_EACH(sent, s, sent_vote, link) {
    if (!aq_duty_eq(s->duty, duty)) continue;
    if (same_vote(&s->m, m)) return;
    bool lost = s->untaken && n->lost_ns > s->sent_ns; /* decision 008, "What this leaves" */
    bool unheard = !s->told && n->old_ns[1] > s->sent_ns;
    if (contradicts(&s->m, m) && !lost && !unheard) against = &s->m;
  }
  if (against && !unknowing(n)) {
    sim_fail(w, "node %u contradicts itself: slot %llu %s, type %d of round %lld after type %d of round %lld", n->op,
             (unsigned long long)duty.slot, aq_duty_name(duty.type), (int)m->type, (long long)m->round,
             (int)against->type, (long long)against->round);
  }
  sent_vote *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->duty = duty, s->m = *m, s->sent_ns = w->time.now_ns;
  s->untaken = !aq_duty_gate(&n->core.chain.clock, duty.slot, duty.type, w->time.now_ns);
  s->told = w->wires != NULL; /* there a message is not followed to its end */
  s->m.raw = aq_bytes_of(NULL, 0), s->m.just = NULL, s->m.just_cnt = 0;
  aq_list_push(sent, &s->link);
}

void sim_check_told(sim_node *from, aq_bytes msg) {
  aq_qbft_msg m = {0};
  uint32_t cnt = 0;
  aq_duty duty;
  aq_bytes raw;
  size_t end;
  aq_arena a;
  if (!scheduled(from->w, SIM_OLD_STORE)) return; /* only there it is asked who was told */
  if (from->nature != SIM_HONEST || !sim_first_vote(&raw, &end, msg)) return;
  aq_arena_init(&a, SIM_SCRATCH);
  bool read = aq_qbft_wire_read(&m, &cnt, 1, &duty, &a, from->w->n, raw, false) == AQ_OK;
  if (read && m.from == from->op && duty.slot < SIM_SLOTS_MAX) {
    AQ_LIST_EACH(&checks(from->w)->sent[from->op][duty.slot], s, sent_vote, link) {
      s->told |= aq_duty_eq(s->duty, duty) && same_vote(&s->m, &m);
    }
  }
  aq_arena_free(&a);
}

/* A vote that leaves is on the disk. */
static void check_vote(sim_node *n, aq_bytes msg) {
  sim_world *w = n->w;
  aq_arena a;
  aq_qbft_msg m = {0};
  uint32_t cnt = 0;
  aq_duty duty;
  aq_bytes raw;
  size_t end;
  if (!sim_first_vote(&raw, &end, msg)) {
    sim_fail(w, "node %u sent a consensus message that does not begin with a vote", n->op);
    return;
  }
  aq_arena_init(&a, SIM_SCRATCH);
  if (aq_qbft_wire_read(&m, &cnt, 1, &duty, &a, w->n, raw, false) != AQ_OK)
    sim_fail(w, "node %u sent a consensus message that does not decode", n->op);
  else if (m.from == n->op && m.type != AQ_QBFT_DECIDED && !fake_disk_has_vote(&n->disk, duty, raw))
    sim_fail(w, "node %u sent a vote that is not on its disk: slot %llu %s type %d round %lld", n->op,
             (unsigned long long)duty.slot, aq_duty_name(duty.type), (int)m.type, (long long)m.round);
  else if (m.from == n->op && m.type != AQ_QBFT_DECIDED)
    check_contradiction(n, duty, &m);
  aq_arena_free(&a);
}

static void check_block_share(sim_node *n, const aq_parsigex_item *it, uint64_t slot) {
  sim_checks *c = checks(n->w);
  AQ_LIST_EACH(&c->block_shares, s, block_share, link) {
    if (s->op != n->op || s->validator != it->validator || s->slot != slot) continue;
    if (memcmp(s->root, it->root, 32) != 0)
      sim_fail(n->w, "SLASHABLE SHARE: node %u signed two blocks of slot %llu", n->op, (unsigned long long)slot);
    return;
  }
  block_share *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  s->op = n->op, s->validator = it->validator, s->slot = slot;
  memcpy(s->root, it->root, 32);
  aq_list_push(&c->block_shares, &s->link);
}

static void check_share(sim_node *n, aq_duty duty, const aq_parsigex_item *it) {
  sim_world *w = n->w;
  sim_checks *c = checks(w);
  if (aq_bls_verify(w->share_pub[it->validator][n->op], it->root, it->sig) != AQ_OK)
    sim_fail(w, "node %u sent a share that does not verify: slot %llu %s", n->op, (unsigned long long)duty.slot,
             aq_duty_name(duty.type));
  if (duty.type == AQ_DUTY_EXIT) sim_exit_sent(n, duty, it);
  if (duty.type != AQ_DUTY_ATTESTER && duty.type != AQ_DUTY_PROPOSER) return;
  if (!sim_chain_told(w, duty.slot, it->validator, duty.type == AQ_DUTY_ATTESTER) && !scheduled(w, SIM_BN_GARBAGE))
    sim_fail(w, "node %u sent a share for a duty that no beacon node knows: validator %u, slot %llu %s", n->op,
             it->validator, (unsigned long long)duty.slot, aq_duty_name(duty.type));
  if (!fake_disk_sign(&n->disk, AQ_SIGN_PARTIAL, duty, w->dist[it->validator].pubkey, it->root))
    sim_fail(w, "node %u sent a share whose root is not on its disk: slot %llu %s", n->op,
             (unsigned long long)duty.slot, aq_duty_name(duty.type));
  if (!fake_disk_decided(&n->disk, duty))
    sim_fail(w, "node %u sent a share for slot %llu %s whose decision is not on its disk", n->op,
             (unsigned long long)duty.slot, aq_duty_name(duty.type));
  else
    sim_check_share_root(n, duty, it);
  if (w->doubled >> n->op & 1) return; /* two databases, one share: the operator's own fault */
  if (duty.type == AQ_DUTY_PROPOSER) {
    check_block_share(n, it, duty.slot);
    return;
  }
  aq_att_data d;
  aq_att_data_get(&d, aq_ssz_get(it->data->type, it->data->value, "data"));
  if (add(&c->share[n->op][it->validator], &d, it->root))
    sim_fail(w, "SLASHABLE SHARE: node %u of validator %u at slot %llu", n->op, it->validator,
             (unsigned long long)duty.slot);
}

aq_status sim_read_shares(aq_parsigex_set *out, aq_arena *a, sim_node *n, aq_bytes msg) {
  if (!n->core.chain_known) return AQ_E_STALE;
  const aq_parsigex_cfg peer = {.env = &n->proc.env.env,
                                .net = &n->link.net,
                                .chain = &n->core.chain,
                                .lock = &n->w->lock,
                                .self = (n->op + 1) % n->w->n};
  return aq_parsigex_decode(out, a, &peer, &checks(n->w)->validators, n->op, msg);
}

static void check_shares(sim_node *n, aq_bytes msg) {
  aq_parsigex_set set;
  aq_arena a;
  aq_arena_init(&a, SIM_VALUE_SCRATCH);
  aq_status st = sim_read_shares(&set, &a, n, msg);
  if (st != AQ_OK && st != AQ_E_STALE)
    sim_fail(n->w, "node %u sent shares that no peer takes: %s", n->op, aq_status_text(st));
  for (uint32_t i = 0; st == AQ_OK && i < set.cnt; i++) check_share(n, set.duty, &set.item[i]);
  aq_arena_free(&a);
}

void sim_check_sent(sim_node *n, uint32_t to, aq_net_proto proto, aq_bytes msg) {
  bool first = to == (n->op == 0 ? 1u : 0u); /* all peers get the same bytes */
  if (proto == AQ_PROTO_QBFT) check_vote(n, msg);
  if (proto == AQ_PROTO_PARSIGEX && first) check_shares(n, msg);
}

/* ---- once a slot, and at the end ---- */

static size_t memory_used(void) {
  return AQ_SANITIZED ? 0 : mallinfo2().uordblks; /* a sanitizer's own heap does not say */
}

/* Work is forgotten when its time is over. */
static void check_queues(sim_node *n) {
  sim_world *w = n->w;
  const aq_workflow *flow = n->core.workflow;
  if (n->nature != SIM_HONEST || !n->up || n->leaving || !flow) return;
  uint32_t instances = aq_consensus_instances(flow->consensus), open = flow->tss ? aq_tss_open(flow->tss) : 0;
  uint32_t hostile = (uint32_t)__builtin_popcount(w->liars);
  if (instances > INSTANCES_MAX + hostile * AQ_INST_WAITING_PER_PEER)
    sim_fail(w, "node %u has %u consensus instances", n->op, instances);
  if (open > w->validators * SESSIONS_PER_KEY * (1 + hostile))
    sim_fail(w, "node %u has %u signing sessions", n->op, open);
}

/* A node that nothing is wrong with votes: in each epoch every validator has a duty, at its begin in one and at its end
   in the next perhaps, and in none where it moves to a slot that is over. What a wrong clock leaves behind is counted
   as its fault for as long as it may (sim_resumes_ns). */
static void check_silent(sim_node *n) {
  sim_world *w = n->w;
  uint64_t epochs = scheduled(w, SIM_REORG) ? 3 : 2;
  uint64_t slots = epochs * w->slots_per_epoch + GRACE_SLOTS, from_ns = w->time.now_ns - slots * w->slot_ns;
  bool special = n->nature != SIM_HONEST || n->idx >= w->n || w->doubled >> n->op & 1;
  if (special || from_ns < w->genesis_ns || !n->up || n->leaving) return;
  if (sim_faulty_ops(w, from_ns, w->time.now_ns) >> n->op & 1 || n->voted_ns >= from_ns) return;
  sim_fail(w, "node %u is silent: nothing was wrong with it for %llu slots, and it did not vote", n->op,
           (unsigned long long)slots);
}

void sim_check_slot(sim_world *w, uint64_t slot) {
  uint64_t steps = w->time.fired - w->slot_fired;
  if (steps > SIM_STEPS_PER_SLOT_MAX)
    sim_fail(w, "%llu steps in slot %llu: a storm", (unsigned long long)steps, (unsigned long long)slot - 1);
  w->slot_fired = w->time.fired;
  for (uint32_t i = 0; i < w->node_cnt; i++) {
    check_queues(w->node[i]);
    check_silent(w->node[i]);
  }
  if (memory_used() > SIM_MEMORY_MAX) sim_fail(w, "the cluster's memory grew over %d MiB", SIM_MEMORY_MAX >> 20);
}

void sim_check_client(const sim_node *n, const aq_store_sign *s) {
  sim_world *w = n->w;
  bool counts = s->duty.type == AQ_DUTY_ATTESTER && s->duty.slot < SIM_SLOTS_MAX && n->nature == SIM_HONEST;
  for (uint32_t v = 0; counts && v < w->validators; v++) {
    if (memcmp(w->share_pub[v][n->op], s->pubkey, 48) == 0) checks(w)->voted[v][s->duty.slot] |= 1u << n->op;
  }
}

/* Operators whose clients voted elsewhere in the epoch, when they could not know that the duty moved: because it just
   had, or because they were in trouble. They must not vote again. */
static uint32_t voted_elsewhere(sim_world *w, uint32_t v, uint64_t slot) {
  uint64_t first = slot / w->slots_per_epoch * w->slots_per_epoch;
  uint32_t mask = 0;
  for (uint64_t other = first; other < first + w->slots_per_epoch && other < SIM_SLOTS_MAX; other++) {
    uint32_t voted = other == slot ? 0 : checks(w)->voted[v][other];
    if (voted) mask |= sim_chain_moved(w, other, true) ? voted : voted & in_trouble(w, other);
  }
  return mask;
}

/* With at most f operators in trouble every duty is done, at the place that it has in the end. */
static void check_done(sim_world *w) {
  sim_checks *c = checks(w);
  for (uint64_t slot = 1; slot < w->slots - TAIL_SLOTS; slot++) {
    uint32_t faulty = (uint32_t)__builtin_popcount(in_trouble(w, slot));
    /* Liars and views that differ together take f+2 to 3f+2 rounds, and silent liars leave no vote to spare: in short
       slots a round is little longer than two messages. */
    bool hard = scheduled(w, SIM_SPLIT) || scheduled(w, SIM_LIE_SHOW);
    bool hurried = w->slot_ns < AQ_SECONDS(5) && w->liars && hard;
    bool must = faulty <= w->f && !hurried;
    /* In 5 s slots Charon's table leaves a proposal 2.08 s, of which a dead leader takes 1.5; shorter ones are no
       better (docs/decisions/003). Four leaders in a row that are silent, or show theirs to a few, take all of 5 s. */
    bool late = scheduled(w, SIM_LIE_SHOW) && __builtin_popcount(w->liars) > 3;
    bool block = must && !late && (faulty == 0 || w->slot_ns > AQ_SECONDS(5));
    w->out->must += must;
    for (uint32_t v = 0; v < w->validators; v++) {
      if (aq_beacon_attests_at(w->chain, slot / w->slots_per_epoch, v) != slot) continue;
      w->out->duties++;
      w->out->done += c->attested[v][slot];
      uint32_t away = in_trouble(w, slot) | voted_elsewhere(w, v, slot);
      bool owed = must && (uint32_t)__builtin_popcount(away) <= w->f && !sim_chain_moved(w, slot, true);
      if (owed && !c->attested[v][slot])
        sim_fail(w, "validator %u did not attest at slot %llu although at most f operators were in trouble", v,
                 (unsigned long long)slot);
    }
    if (aq_beacon_proposer(w->chain, slot) >= w->validators) continue;
    w->out->duties++;
    w->out->done += c->proposed[slot];
    if (block && !c->proposed[slot] && !sim_chain_moved(w, slot, false) && !w->withheld[slot])
      sim_fail(w, "no block at slot %llu although at most f operators were in trouble", (unsigned long long)slot);
  }
}

void sim_check_end(sim_world *w) {
  if (w->opts.until != 0) return;
  check_done(w);
  sim_exit_end(w);
}

void sim_check_free(sim_world *w) {
  if (!w->checks) return;
  for (uint32_t op = 0; op < SIM_NODES_MAX; op++) {
    for (uint32_t slot = 0; slot < SIM_SLOTS_MAX; slot++) {
      AQ_LIST_EACH(&w->checks->sent[op][slot], s, sent_vote, link) free(s);
    }
  }
  AQ_LIST_EACH(&w->checks->decisions, d, decision, link) free(d);
  AQ_LIST_EACH(&w->checks->proposals, p, decision, link) free(p);
  AQ_LIST_EACH(&w->checks->block_shares, s, block_share, link) free(s);
  aq_map_free(&w->checks->validators);
  free(w->checks);
  w->checks = NULL;
}
