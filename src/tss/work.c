/* What workers do with a batch: on copies only, no state of the loop thread in it. */
#include "base/assert.h"
#include "tss/tss_internal.h"

static bool decode(aq_bls_point *out, const uint8_t raw[96], tss_fault *fault) {
  if (aq_bls_sig_decode(out, raw, false) == AQ_OK) return true;
  *fault = TSS_F_ENCODING;
  return false;
}

static void hash_root(tss_root *r) {
  if (r->known) return;
  aq_bls_hash(&r->point, r->root);
  r->known = true;
}

/* tss.md 4.4 step 1 for a part of the batch: points, combination, subgroup check of the sum. A root is hashed by the
   part that holds its first session. */
void tss_work_combine(tss_batch *b, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) {
    tss_item *it = &b->item[i];
    bool first = true;
    for (uint32_t k = 0; k < i && first; k++) first = b->item[k].root != it->root;
    if (first) hash_root(&b->root[it->root]);
    bool all = true;
    for (uint32_t j = 0; j < b->t; j++) all &= decode(&it->point[j], it->raw[j], &it->fault[j]);
    if (!all) continue;
    aq_tbls_combine(&it->sum, it->point, it->idx, b->t);
    it->usable = aq_bls_in_subgroup(&it->sum);
  }
}

/* One check over the items of a root (or of all roots): true when every usable one verifies. */
static bool check_sums(tss_batch *b, aq_bls_item *list, uint32_t root, bool all_roots) {
  size_t cnt = 0;
  for (uint32_t i = 0; i < b->cnt; i++) {
    tss_item *it = &b->item[i];
    if (it->usable && (all_roots || it->root == root)) {
      list[cnt++] = (aq_bls_item){.pk = &it->pk, .hash = &b->root[it->root].point, .sig = &it->sum};
    }
  }
  if (cnt == 0) return true;
  if (cnt == 1) return aq_bls_verify_points(list[0].pk, list[0].hash, list[0].sig);
  return aq_bls_verify_batch(list, cnt, b->rnd);
}

static void mark_ok(tss_batch *b, uint32_t root, bool all_roots) {
  for (uint32_t i = 0; i < b->cnt; i++) {
    tss_item *it = &b->item[i];
    if (!it->usable || !(all_roots || it->root == root)) continue;
    it->ok = true;
    aq_bls_sig_encode(it->sig, &it->sum);
  }
}

/* tss.md 6.1 step 2: everything of one share in the failed sessions, one random combination. A failing column is in
   doubt as a whole: its partials are looked at one by one later, when needed (check.c). */
static void check_column(tss_batch *b, aq_bls_item *list, uint32_t share) {
  size_t cnt = 0;
  bool *proved = NULL;
  tss_fault *fault = NULL;
  for (uint32_t i = 0; i < b->cnt; i++) {
    tss_item *it = &b->item[i];
    for (uint32_t j = 0; j < b->t && !it->ok; j++) {
      if (it->idx[j] != share || it->good[j] || it->fault[j] != TSS_F_NONE) continue;
      if (!aq_bls_in_subgroup(&it->point[j])) {
        it->fault[j] = TSS_F_SUBGROUP;
        continue;
      }
      list[cnt++] = (aq_bls_item){.pk = &it->share[j], .hash = &b->root[it->root].point, .sig = &it->point[j]};
      proved = &it->proved[j], fault = &it->fault[j];
    }
  }
  if (cnt == 0) return;
  if (cnt == 1) {
    if (aq_bls_verify_points(list[0].pk, list[0].hash, list[0].sig))
      *proved = true;
    else
      *fault = TSS_F_SIGNATURE;
    return;
  }
  bool ok = aq_bls_verify_batch(list, cnt, b->rnd + (size_t)8 * b->cnt * share);
  for (uint32_t i = 0; i < b->cnt; i++) {
    tss_item *it = &b->item[i];
    for (uint32_t j = 0; j < b->t && !it->ok; j++) {
      if (it->idx[j] != share || it->good[j] || it->fault[j] != TSS_F_NONE) continue;
      if (ok)
        it->proved[j] = true;
      else
        it->fault[j] = TSS_F_DOUBT;
    }
  }
}

/* tss.md 4.4 step 2 and, when it fails, tss.md 6.1 steps 1 and 2. */
void tss_work_verify(tss_batch *b) {
  aq_bls_item *list = b->list;
  bool whole = check_sums(b, list, 0, true);
  if (whole) mark_ok(b, 0, true);
  for (uint32_t r = 0; r < b->root_cnt && !whole && b->root_cnt > 1; r++) {
    if (check_sums(b, list, r, false)) mark_ok(b, r, false);
  }
  bool failed = false;
  for (uint32_t i = 0; i < b->cnt; i++) failed |= !b->item[i].ok;
  b->failed = failed;
  for (uint32_t share = 1; share <= b->n && failed; share++) check_column(b, list, share);
  for (uint32_t i = 0; i < b->cnt && failed; i++) {
    tss_item *it = &b->item[i];
    bool sound = !it->ok;
    for (uint32_t j = 0; j < b->t; j++) sound = sound && (it->good[j] || it->proved[j]);
    it->local_fault = sound;
  }
}

/* Marks the bad ones of a run of items that are all in the subgroup. */
static void search(tss_check_item **part, size_t cnt, const tss_root *root, const uint8_t *rnd, aq_bls_item *list,
                   bool *bad) {
  for (size_t i = 0; i < cnt; i++) {
    list[i] = (aq_bls_item){.pk = &part[i]->pk, .hash = &root[part[i]->root].point, .sig = &part[i]->point};
    bad[i] = false;
  }
  if (cnt == 0 || aq_bls_verify_batch(list, cnt, rnd)) return;
  aq_bls_find_bad(bad, list, cnt, rnd);
  for (size_t i = 0; i < cnt; i++) {
    if (bad[i]) part[i]->fault = TSS_F_SIGNATURE;
  }
}

bool tss_check_work_init(tss_check_work *w, aq_arena *a, uint32_t cnt) {
  w->list = aq_arena_array(a, cnt, sizeof *w->list);
  w->part = aq_arena_array(a, cnt, sizeof *w->part);
  w->bad = aq_arena_array(a, cnt, sizeof *w->bad);
  return w->list && w->part && w->bad;
}

/* Verifies partials, one peer after the other when they do not verify together, so that a good peer costs one check.
   Items stand in the order of their shares. */
void tss_work_check(tss_check_item *item, uint32_t cnt, tss_root *root, uint32_t root_cnt, const uint8_t *rnd,
                    tss_check_work *w) {
  for (uint32_t i = 0; i < root_cnt; i++) hash_root(&root[i]);
  size_t good = 0;
  for (uint32_t i = 0; i < cnt; i++) {
    if (!decode(&item[i].point, item[i].raw, &item[i].fault)) continue;
    if (!aq_bls_in_subgroup(&item[i].point))
      item[i].fault = TSS_F_SUBGROUP;
    else
      w->part[good++] = &item[i];
  }
  for (size_t i = 0; i < good; i++) {
    w->list[i] = (aq_bls_item){.pk = &w->part[i]->pk, .hash = &root[w->part[i]->root].point, .sig = &w->part[i]->point};
  }
  if (good == 0 || aq_bls_verify_batch(w->list, good, rnd)) return;
  for (size_t from = 0, to; from < good; from = to) {
    for (to = from + 1; to < good && w->part[to]->share == w->part[from]->share;) to++;
    search(w->part + from, to - from, root, rnd + 8 * from, w->list, w->bad);
  }
}
