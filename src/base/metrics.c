/* A lock a family: a value changes seldom, and a scrape holds up one family at a time. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/utf8.h"

enum { BOUNDS_MAX = 40, CONST_LABELS_MAX = 12, CONST_TEXT_MAX = 1024, NAME_MAX_LEN = 64 };
enum { KEY_MAX = AQ_METRIC_LABELS_MAX * (AQ_METRIC_LABEL_MAX + 1) };

static const struct {
  const char *name, *labels, *preset, *help;
  aq_metric_type type;
} row[AQ_METRIC_CNT] = {
#define X(id, name, type, labels, preset, help) {name, labels, preset, help, type},
    AQ_METRIC_FAMILIES(X)
#undef X
};

/* One label set of a family: its values as 0-terminated strings one after the other are the key. */
typedef struct {
  double value; /* the sum of a summary or histogram */
  uint64_t cnt;
  uint64_t *bucket; /* not cumulative; histograms only */
  size_t key_len;
  char key[];
} series;

typedef struct {
  pthread_mutex_t lock;
  series **list; /* sorted by key */
  size_t cnt, cap;
  size_t label_cnt, bound_cnt;
  char label[AQ_METRIC_LABELS_MAX][NAME_MAX_LEN];
  double bound[BOUNDS_MAX];
} family;

static family fam[AQ_METRIC_CNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t const_lock = PTHREAD_MUTEX_INITIALIZER;
static char const_text[CONST_TEXT_MAX];

const char *aq_metric_name(aq_metric_id id) { return row[id].name; }
const char *aq_metric_help(aq_metric_id id) { return row[id].help; }
const char *aq_metric_labels(aq_metric_id id) { return row[id].labels; }
aq_metric_type aq_metric_type_of(aq_metric_id id) { return row[id].type; }

/* ---- rows ---- */

/* Cuts the text before `end` characters off *text and into out; skips the separator. false: nothing left. */
static bool next_word(char *out, size_t max, const char **text, const char *end) {
  if (**text == 0) return false;
  size_t len = strcspn(*text, end);
  AQ_ASSERT(len < max);
  memcpy(out, *text, len);
  out[len] = 0;
  *text += len;
  if (**text) ++*text;
  return true;
}

static void parse_bounds(family *f, const char *text) {
  static const struct {
    const char *name, *list;
  } lists[] = {{"H0", ".005 .01 .025 .05 .1 .25 .5 1 2.5 5 10"},
               {"H1", ".01 .025 .05 .1 .25 .5 .75 1 1.25 1.5 1.75 2 2.25 2.5 2.75 3 5"},
               {"H2", ".001 .01 .05 .1 .25 .5 .75 1 1.25 1.5 1.75 2 2.25 2.5 2.75 3 5"},
               {"H3", ".001 .005 .01 .025 .05 .1 .25 .5 1 2.5 5"}};
  for (size_t i = 0; i < AQ_COUNT(lists); i++) {
    if (strncmp(text, lists[i].name, 2) == 0) text = lists[i].list;
  }
  for (char *end; f->bound_cnt < BOUNDS_MAX; text = end) {
    double v = strtod(text, &end);
    if (end == text) break;
    f->bound[f->bound_cnt++] = v;
  }
  AQ_ASSERT(f->bound_cnt > 0);
}

static void describe(void) {
  for (size_t id = 0; id < AQ_METRIC_CNT; id++) {
    family *f = &fam[id];
    pthread_mutex_init(&f->lock, NULL);
    const char *text = row[id].labels;
    while (f->label_cnt < AQ_METRIC_LABELS_MAX && next_word(f->label[f->label_cnt], NAME_MAX_LEN, &text, ",")) {
      f->label_cnt++;
    }
    AQ_ASSERT(*text == 0);
    if (row[id].type == AQ_M_HISTOGRAM) {
      AQ_ASSERT(strncmp(row[id].preset, "buckets=", 8) == 0);
      parse_bounds(f, row[id].preset + 8);
    }
  }
}

/* ---- series ---- */

/* Label values come from peers too. */
static size_t make_key(char *key, const family *f, const char *const *label) {
  size_t len = 0;
  for (size_t i = 0; i < f->label_cnt; i++)
    len += aq_text_copy(key + len, AQ_METRIC_LABEL_MAX + 1, label && label[i] ? label[i] : "") + 1;
  return len;
}

static int key_cmp(const series *s, const char *key, size_t len) {
  int c = memcmp(s->key, key, s->key_len < len ? s->key_len : len);
  return c ? c : (s->key_len > len) - (s->key_len < len);
}

/* Position of the key, or where it belongs. */
static bool find(const family *f, const char *key, size_t len, size_t *pos) {
  size_t lo = 0, hi = f->cnt;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = key_cmp(f->list[mid], key, len);
    if (c == 0) {
      *pos = mid;
      return true;
    }
    if (c < 0) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  *pos = lo;
  return false;
}

static series *series_new(const family *f, const char *key, size_t len) {
  size_t counts = f->bound_cnt * sizeof(uint64_t), pad = sizeof(series) + (len + 7) / 8 * 8;
  series *s = calloc(1, pad + counts);
  if (!s) return NULL;
  s->bucket = counts ? (uint64_t *)(void *)((char *)s + pad) : NULL;
  s->key_len = len;
  memcpy(s->key, key, len);
  return s;
}

/* The series of the key, made when absent; NULL when the family is full or there is no memory. Lock held. */
static series *obtain(family *f, const char *key, size_t len) {
  size_t pos;
  if (find(f, key, len, &pos)) return f->list[pos];
  if (f->cnt == AQ_METRIC_SERIES_MAX) return NULL;
  if (f->cnt == f->cap) {
    size_t cap = f->cap ? f->cap * 2 : 8;
    series **list = realloc(f->list, cap * sizeof(*list));
    if (!list) return NULL;
    f->list = list;
    f->cap = cap;
  }
  series *s = series_new(f, key, len);
  if (!s) return NULL;
  memmove(&f->list[pos + 1], &f->list[pos], (f->cnt - pos) * sizeof(*f->list));
  f->list[pos] = s;
  f->cnt++;
  return s;
}

typedef enum { OP_ADD, OP_SET, OP_OBSERVE } op;

static void change(aq_metric_id id, op what, double value, const char *const *label) {
  AQ_ASSERT((size_t)id < AQ_METRIC_CNT);
  pthread_once(&once, describe);
  family *f = &fam[id];
  char key[KEY_MAX];
  size_t len = make_key(key, f, label);
  pthread_mutex_lock(&f->lock);
  series *s = obtain(f, key, len);
  if (s && what == OP_SET) {
    s->value = value;
  } else if (s) {
    s->value += value;
    s->cnt += what == OP_OBSERVE;
  }
  if (s && s->bucket) {
    size_t i = 0;
    while (i < f->bound_cnt && !(value <= f->bound[i])) i++;
    if (i < f->bound_cnt) s->bucket[i]++;
  }
  pthread_mutex_unlock(&f->lock);
  if (!s && id != AQ_M_METRICS_SERIES_DROPPED_TOTAL) change(AQ_M_METRICS_SERIES_DROPPED_TOTAL, OP_ADD, 1, NULL);
}

void aq_metric_add(aq_metric_id id, double delta, const char *const *label) {
  AQ_ASSERT(row[id].type == AQ_M_COUNTER || row[id].type == AQ_M_GAUGE);
  if (row[id].type == AQ_M_COUNTER && !(delta >= 0)) return;
  change(id, OP_ADD, delta, label);
}

void aq_metric_set(aq_metric_id id, double value, const char *const *label) {
  AQ_ASSERT(row[id].type == AQ_M_COUNTER || row[id].type == AQ_M_GAUGE);
  change(id, OP_SET, value, label);
}

void aq_metric_observe(aq_metric_id id, double value, const char *const *label) {
  AQ_ASSERT(row[id].type == AQ_M_SUMMARY || row[id].type == AQ_M_HISTOGRAM);
  change(id, OP_OBSERVE, value, label);
}

void aq_metric_clear(aq_metric_id id, const char *const *label) {
  pthread_once(&once, describe);
  family *f = &fam[id];
  char key[KEY_MAX];
  size_t len = make_key(key, f, label), pos;
  pthread_mutex_lock(&f->lock);
  if (find(f, key, len, &pos)) {
    free(f->list[pos]);
    f->cnt--;
    memmove(&f->list[pos], &f->list[pos + 1], (f->cnt - pos) * sizeof(*f->list));
  }
  pthread_mutex_unlock(&f->lock);
}

double aq_metric_value(aq_metric_id id, const char *const *label) {
  pthread_once(&once, describe);
  family *f = &fam[id];
  char key[KEY_MAX];
  size_t len = make_key(key, f, label), pos;
  pthread_mutex_lock(&f->lock);
  double v = find(f, key, len, &pos) ? f->list[pos]->value : 0;
  pthread_mutex_unlock(&f->lock);
  return v;
}

void aq_metric_each(aq_metric_id id, aq_metric_fn fn, void *arg) {
  pthread_once(&once, describe);
  family *f = &fam[id];
  pthread_mutex_lock(&f->lock);
  for (size_t i = 0; i < f->cnt; i++) {
    const char *label[AQ_METRIC_LABELS_MAX + 1] = {0}, *value = f->list[i]->key;
    for (size_t k = 0; k < f->label_cnt; k++, value += strlen(value) + 1) label[k] = value;
    fn(arg, label, f->list[i]->value, f->list[i]->cnt);
  }
  pthread_mutex_unlock(&f->lock);
}

/* ---- presets ---- */

static void preset_make(family *f, const char *const *label) {
  char key[KEY_MAX];
  size_t len = make_key(key, f, label);
  pthread_mutex_lock(&f->lock);
  obtain(f, key, len);
  pthread_mutex_unlock(&f->lock);
}

/* One list, "service=api|p2p;op=start|stop": counts through the cross product like an odometer. */
static void preset_list(family *f, const char *text) {
  enum { VALUES_MAX = 16 };
  char value[AQ_METRIC_LABELS_MAX][VALUES_MAX][NAME_MAX_LEN], part[512], name[NAME_MAX_LEN];
  size_t cnt[AQ_METRIC_LABELS_MAX] = {0}, at[AQ_METRIC_LABELS_MAX] = {0};
  while (next_word(part, sizeof part, &text, ";")) {
    const char *p = part;
    AQ_MUST(next_word(name, sizeof name, &p, "="));
    size_t i = 0;
    while (i < f->label_cnt && strcmp(f->label[i], name) != 0) i++;
    AQ_ASSERT(i < f->label_cnt);
    while (cnt[i] < VALUES_MAX && next_word(value[i][cnt[i]], NAME_MAX_LEN, &p, "|")) cnt[i]++;
    AQ_ASSERT(*p == 0);
  }
  for (size_t carry = 0; carry < f->label_cnt;) {
    const char *label[AQ_METRIC_LABELS_MAX + 1] = {0};
    for (size_t i = 0; i < f->label_cnt; i++) label[i] = cnt[i] ? value[i][at[i]] : NULL;
    preset_make(f, label);
    for (carry = 0; carry < f->label_cnt; carry++) {
      if (++at[carry] < cnt[carry]) break;
      at[carry] = 0;
    }
  }
}

static void preset_family(size_t id) {
  family *f = &fam[id];
  const char *text = row[id].preset;
  if (*text == 0 && f->label_cnt == 0) preset_make(f, NULL);
  if (strcmp(text, "-") == 0) return;
  char list[512];
  while (next_word(list, sizeof list, &text, "+")) {
    size_t start = strspn(list, " "), len = strlen(list);
    while (len > start && list[len - 1] == ' ') list[--len] = 0;
    if (strncmp(list + start, "buckets=", 8) != 0) preset_list(f, list + start);
  }
}

void aq_metrics_init(void) {
  pthread_once(&once, describe);
  for (size_t id = 0; id < AQ_METRIC_CNT; id++) {
    family *f = &fam[id];
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->cnt; i++) free(f->list[i]);
    free(f->list);
    f->list = NULL;
    f->cnt = f->cap = 0;
    pthread_mutex_unlock(&f->lock);
    preset_family(id);
  }
  aq_metric_set(AQ_M_DVT_UP, 1, AQ_NO_LABELS);
}

void aq_metrics_const_labels(const char *text) {
  pthread_mutex_lock(&const_lock);
  size_t len = text ? strlen(text) : 0;
  AQ_ASSERT(len < CONST_TEXT_MAX);
  if (len) memcpy(const_text, text, len);
  const_text[len] = 0;
  pthread_mutex_unlock(&const_lock);
}

/* ---- exposition ---- */

typedef struct {
  const char *name, *value;
} pair;

typedef struct {
  pair at[CONST_LABELS_MAX + AQ_METRIC_LABELS_MAX + 1];
  size_t cnt;
} pairs;

static void pairs_add(pairs *p, const char *name, const char *value) {
  if (*value == 0) return;
  size_t i = p->cnt++;
  for (; i > 0 && strcmp(p->at[i - 1].name, name) > 0; i--) p->at[i] = p->at[i - 1];
  p->at[i] = (pair){.name = name, .value = value};
}

/* Lines name=value, cut apart in place. */
static void pairs_const(pairs *p, char *text) {
  for (char *next; *text && p->cnt < CONST_LABELS_MAX; text = next) {
    size_t len = strcspn(text, "\n");
    next = text + len + (text[len] != 0);
    text[len] = 0;
    char *eq = strchr(text, '=');
    if (!eq) continue;
    *eq = 0;
    pairs_add(p, text, eq + 1);
  }
}

/* The families that Charon has too, with its constant labels. */
static bool wants_const(const char *name) {
  static const char *const prefix[] = {"core_",          "app_",
                                       "cluster_",       "p2p_ping_",
                                       "p2p_peer_conn",  "p2p_peer_network_",
                                       "p2p_peer_strea", "p2p_reachability_",
                                       "p2p_relay_",     "p2p_send_"};
  for (size_t i = 0; i < AQ_COUNT(prefix); i++) {
    if (strncmp(name, prefix[i], strlen(prefix[i])) == 0) return true;
  }
  return false;
}

static void put_escaped(aq_buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '\\') {
      aq_buf_put_str(out, "\\\\");
    } else if (*text == '"') {
      aq_buf_put_str(out, "\\\"");
    } else {
      aq_buf_put_u8(out, (uint8_t)*text);
    }
  }
}

/* Whole numbers without a point, others in the fewest digits that read back the same. */
static void format_number(char out[32], double v) {
  if (isnan(v)) {
    snprintf(out, 32, "NaN");
  } else if (isinf(v)) {
    snprintf(out, 32, v > 0 ? "+Inf" : "-Inf");
  } else if (fabs(v) < 1e15 && v == trunc(v)) {
    snprintf(out, 32, "%.0f", v == 0 ? 0.0 : v);
  } else {
    for (int digits = 15; digits <= 17; digits++) {
      snprintf(out, 32, "%.*g", digits, v);
      if (strtod(out, NULL) == v) break;
    }
  }
}

static void put_line(aq_buf *out, const char *name, const char *suffix, const pairs *p, double v) {
  aq_buf_put_str(out, name);
  aq_buf_put_str(out, suffix);
  for (size_t i = 0; i < p->cnt; i++) {
    aq_buf_put_str(out, i ? "," : "{");
    aq_buf_put_str(out, p->at[i].name);
    aq_buf_put_str(out, "=\"");
    put_escaped(out, p->at[i].value);
    aq_buf_put_u8(out, '"');
  }
  if (p->cnt) aq_buf_put_u8(out, '}');
  char number[32];
  format_number(number, v);
  aq_buf_printf(out, " %s\n", number);
}

static void put_series(aq_buf *out, size_t id, const series *s, pairs p) {
  const family *f = &fam[id];
  const char *value = s->key;
  for (size_t i = 0; i < f->label_cnt; i++, value += strlen(value) + 1) pairs_add(&p, f->label[i], value);
  if (row[id].type == AQ_M_COUNTER || row[id].type == AQ_M_GAUGE) {
    put_line(out, row[id].name, "", &p, s->value);
    return;
  }
  if (row[id].type == AQ_M_HISTOGRAM) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= f->bound_cnt; i++) {
      pairs with = p;
      char le[32];
      format_number(le, i < f->bound_cnt ? f->bound[i] : (double)INFINITY);
      pairs_add(&with, "le", le);
      sum = i < f->bound_cnt ? sum + s->bucket[i] : s->cnt;
      put_line(out, row[id].name, "_bucket", &with, (double)sum);
    }
  }
  put_line(out, row[id].name, "_sum", &p, s->value);
  put_line(out, row[id].name, "_count", &p, (double)s->cnt);
}

void aq_metrics_write(aq_buf *out) {
  static const char *const type_name[] = {"counter", "gauge", "summary", "histogram"};
  pthread_once(&once, describe);
  char text[CONST_TEXT_MAX];
  pthread_mutex_lock(&const_lock);
  memcpy(text, const_text, sizeof text);
  pthread_mutex_unlock(&const_lock);
  pairs constant = {.cnt = 0}, none = {.cnt = 0};
  pairs_const(&constant, text);
  for (size_t id = 0; id < AQ_METRIC_CNT; id++) {
    family *f = &fam[id];
    const pairs *p = wants_const(row[id].name) ? &constant : &none;
    pthread_mutex_lock(&f->lock);
    if (f->cnt) {
      aq_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row[id].name, row[id].help, row[id].name,
                    type_name[row[id].type]);
    }
    for (size_t i = 0; i < f->cnt; i++) put_series(out, id, f->list[i], *p);
    pthread_mutex_unlock(&f->lock);
  }
}
