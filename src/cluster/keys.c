/* Keystores of a data directory. Spec: cluster.md 3.2. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hex.h"
#include "cluster/datadir.h"
#include "codec/json.h"
#include "crypto/aead.h"
#include "crypto/keystore.h"
#include "crypto/secret.h"

/* As many keystores as validators; decrypting is what takes the time, so up to 10 at once (the reference's number). */
enum {
  FILES_MAX = AQ_VALIDATORS_MAX,
  THREADS_MAX = 10,
  KEYSTORE_MAX = 64 << 10,
  PATH_LEN_MAX = 4096,
  PASSWORD_LEN = 16
};

typedef struct {
  char *name;
  uint64_t number; /* UINT64_MAX: the name has none */
} key_file;

typedef struct key_work {
  const char *dir;
  const key_file *file;
  uint8_t (*secret)[32];
  uint32_t cnt, threads;
  bool insecure;
  aq_status (*step)(const struct key_work *w, uint32_t i, aq_err *err);
} key_work;

/* ---- several at once ---- */

typedef struct {
  const key_work *work;
  uint32_t first; /* then every threads-th */
  aq_status st;
  aq_err err;
} worker;

static void *run_worker(void *arg) {
  worker *me = arg;
  for (uint32_t i = me->first; me->st == AQ_OK && i < me->work->cnt; i += me->work->threads) {
    me->st = me->work->step(me->work, i, &me->err);
  }
  return NULL;
}

/* A thread that cannot be started has its share done here. */
static aq_status run_all(key_work *w, aq_err *err) {
  worker worker_of[THREADS_MAX] = {{.first = 0}};
  pthread_t thread[THREADS_MAX];
  bool started[THREADS_MAX] = {false};
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  w->threads = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (uint32_t)cores;
  for (uint32_t i = 0; i < w->threads; i++) {
    worker_of[i] = (worker){.work = w, .first = i};
    if (i > 0) started[i] = pthread_create(&thread[i], NULL, run_worker, &worker_of[i]) == 0;
  }
  for (uint32_t i = 0; i < w->threads; i++) {
    if (!started[i]) run_worker(&worker_of[i]);
  }
  for (uint32_t i = 0; i < w->threads; i++) {
    if (started[i]) pthread_join(thread[i], NULL);
  }
  for (uint32_t i = 0; i < w->threads; i++) {
    if (worker_of[i].st != AQ_OK) return aq_fail(err, worker_of[i].st, "%s", worker_of[i].err.text);
  }
  return AQ_OK;
}

/* ---- reading ---- */

/* n of keystore-<n>.json and keystore-insecure-<n>.json. */
static uint64_t number_of(const char *name) {
  uint64_t n;
  name += strlen("keystore-");
  if (strncmp(name, "insecure-", 9) == 0) name += 9;
  return aq_u64_parse(&n, aq_bytes_of(name, strlen(name) - strlen(".json"))) == AQ_OK ? n : UINT64_MAX;
}

static bool is_keystore(const char *name) {
  size_t len = strlen(name);
  return len > strlen("keystore-.json") && strncmp(name, "keystore-", 9) == 0 && strcmp(name + len - 5, ".json") == 0;
}

static int by_number(const void *a, const void *b) {
  const key_file *x = a, *y = b;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return strcmp(x->name, y->name);
}

static aq_status list_keystores(key_file *file, uint32_t *cnt, const char *dir, aq_err *err) {
  DIR *d = opendir(dir);
  aq_status st = AQ_OK;
  if (!d)
    return aq_fail(err, errno == ENOENT ? AQ_E_NOTFOUND : AQ_E_IO, "%s: cannot open the key directory: %s", dir,
                   strerror(errno));
  for (struct dirent *e; st == AQ_OK && (e = readdir(d));) {
    if (!is_keystore(e->d_name)) continue;
    if (*cnt == FILES_MAX)
      st = aq_fail(err, AQ_E_LIMIT, "%s: more than %d keystores", dir, FILES_MAX);
    else if (!(file[*cnt].name = strdup(e->d_name)))
      st = aq_fail(err, AQ_E_LIMIT, "out of memory");
    else
      file[*cnt].number = number_of(e->d_name), (*cnt)++;
  }
  closedir(d);
  if (st == AQ_OK && *cnt == 0) st = aq_fail(err, AQ_E_NOTFOUND, "%s: no keystore-*.json", dir);
  qsort(file, *cnt, sizeof *file, by_number);
  return st;
}

static aq_status path_of(char out[PATH_LEN_MAX], const char *dir, const char *name, const char *suffix, aq_err *err) {
  int len = snprintf(out, PATH_LEN_MAX, "%s/%.*s%s", dir, (int)(strlen(name) - strlen(".json")), name, suffix);
  return len > 0 && len < PATH_LEN_MAX ? AQ_OK : aq_fail(err, AQ_E_LIMIT, "%.100s...: the path is too long", dir);
}

static aq_status load_one(const key_work *w, uint32_t i, aq_err *err) {
  char json_path[PATH_LEN_MAX], password_path[PATH_LEN_MAX];
  aq_buf json = AQ_BUF(KEYSTORE_MAX);
  uint8_t *password = aq_guarded_alloc(1, AQ_PASSWORD_FILE_MAX);
  size_t password_len = 0;
  aq_err why = {AQ_OK, ""};
  aq_status st = password ? path_of(json_path, w->dir, w->file[i].name, ".json", err)
                          : aq_fail(err, AQ_E_LIMIT, "out of memory for a password");
  if (st == AQ_OK) st = path_of(password_path, w->dir, w->file[i].name, ".txt", err);
  if (st == AQ_OK) st = aq_file_read(&json, json_path, err);
  if (st == AQ_OK) st = aq_secret_file_read(password, &password_len, AQ_PASSWORD_FILE_MAX, password_path, err);
  if (st == AQ_OK) {
    st = aq_keystore_read(w->secret[i], aq_buf_bytes(&json), aq_bytes_of(password, password_len), &why);
    if (st != AQ_OK) (void)aq_fail(err, st, "%s: %s", json_path, why.text[0] ? why.text : aq_status_text(st));
  }
  aq_buf_free(&json);
  aq_guarded_free(password);
  return st;
}

static aq_status load_files(aq_keys *out, const char *dir, const key_file *file, uint32_t cnt, aq_err *err) {
  aq_keys k = {.secret = aq_guarded_alloc(cnt, sizeof *k.secret), .cnt = cnt, .sequenced = true};
  if (!k.secret) return aq_fail(err, AQ_E_LIMIT, "no locked memory for %u keys (see ulimit -l)", cnt);
  for (uint32_t i = 0; i < cnt; i++) k.sequenced = k.sequenced && file[i].number == i;
  key_work w = {.dir = dir, .file = file, .secret = k.secret, .cnt = cnt, .step = load_one};
  aq_status st = run_all(&w, err);
  aq_guarded_readonly(k.secret);
  if (st != AQ_OK)
    aq_keys_free(&k);
  else
    *out = k;
  return st;
}

aq_status aq_keys_load(aq_keys *out, const char *dir, aq_err *err) {
  uint32_t cnt = 0;
  key_file *file = calloc(FILES_MAX, sizeof *file);
  if (!file) return aq_fail(err, AQ_E_LIMIT, "out of memory");
  aq_status st = list_keystores(file, &cnt, dir, err);
  if (st == AQ_OK) st = load_files(out, dir, file, cnt, err);
  for (uint32_t i = 0; i < cnt; i++) free(file[i].name);
  free(file);
  return st;
}

static aq_status read_pubkey(uint8_t out[48], bool *named, const char *path, aq_err *err) {
  aq_buf json = AQ_BUF(KEYSTORE_MAX);
  aq_err why = {AQ_OK, ""};
  aq_status st = aq_file_read(&json, path, err);
  yyjson_doc *doc = st == AQ_OK ? aq_json_parse(aq_buf_bytes(&json), KEYSTORE_MAX, &why) : NULL;
  if (st == AQ_OK && !doc) st = aq_fail(err, AQ_E_FORMAT, "%s: %s", path, why.text);
  const char *text = aq_json_str(yyjson_doc_get_root(doc), "pubkey");
  *named = text && aq_hex_decode(out, 48, aq_bytes_str(text), AQ_HEX_EITHER) == AQ_OK;
  yyjson_doc_free(doc);
  aq_buf_free(&json);
  return st;
}

aq_status aq_keys_pubkeys(uint8_t (**out)[48], uint32_t *cnt, const char *dir, aq_err *err) {
  uint32_t files = 0, have = 0;
  key_file *file = calloc(FILES_MAX, sizeof *file);
  uint8_t(*key)[48] = calloc(FILES_MAX, sizeof *key);
  aq_status st = file && key ? list_keystores(file, &files, dir, err) : aq_fail(err, AQ_E_LIMIT, "out of memory");
  for (uint32_t i = 0; st == AQ_OK && i < files; i++) {
    char path[PATH_LEN_MAX];
    bool named = false;
    st = path_of(path, dir, file[i].name, ".json", err);
    if (st == AQ_OK) st = read_pubkey(key[have], &named, path, err);
    have += named;
  }
  for (uint32_t i = 0; i < files; i++) free(file[i].name);
  free(file);
  if (st == AQ_OK)
    *out = key, *cnt = have;
  else
    free(key);
  return st;
}

void aq_keys_free(aq_keys *k) {
  aq_guarded_free(k->secret);
  *k = (aq_keys){.secret = NULL};
}

/* ---- writing ---- */

static aq_status store_one(const key_work *w, uint32_t i, aq_err *err) {
  const aq_keystore_opts opts = {.kdf = AQ_KEYSTORE_PBKDF2, .insecure = w->insecure, .path = "m/12381/3600/0/0/0"};
  char path[PATH_LEN_MAX], name[64], text[2 * PASSWORD_LEN + 1];
  uint8_t password[PASSWORD_LEN];
  aq_system_random(password, sizeof password);
  aq_secret_hex_encode(text, password, sizeof password);
  snprintf(name, sizeof name, "keystore-%s%u.json", w->insecure ? "insecure-" : "", i);
  aq_buf json = AQ_BUF(KEYSTORE_MAX);
  aq_status st = aq_keystore_write(&json, w->secret[i], aq_bytes_str(text), &opts);
  if (st != AQ_OK) (void)aq_fail(err, st, "%s: cannot encrypt key %u", name, i);
  if (st == AQ_OK) st = path_of(path, w->dir, name, ".json", err);
  if (st == AQ_OK) st = aq_file_write(path, aq_buf_bytes(&json), 0444, err);
  if (st == AQ_OK) st = path_of(path, w->dir, name, ".txt", err);
  if (st == AQ_OK) st = aq_file_write(path, aq_bytes_of(text, 2 * PASSWORD_LEN), 0400, err);
  aq_buf_free(&json);
  aq_wipe(text, sizeof text);
  aq_wipe(password, sizeof password);
  return st;
}

aq_status aq_keys_store(const char *dir, const uint8_t (*secret)[32], uint32_t cnt, bool insecure, aq_err *err) {
  aq_status st = aq_dir_create(dir, 0755, err);
  if (st != AQ_OK) return st;
  /* store_one only reads the secrets; the work is shared with load_one, which writes them. */
  key_work w = {
      .dir = dir, .secret = (uint8_t(*)[32])(uintptr_t)secret, .cnt = cnt, .insecure = insecure, .step = store_one};
  return run_all(&w, err);
}
