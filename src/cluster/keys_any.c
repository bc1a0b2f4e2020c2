/* Keystores that other programs wrote, in any layout: for splitting existing keys. Spec: cluster.md 5.6, step 3. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cluster/datadir.h"
#include "codec/json.h"
#include "crypto/keystore.h"
#include "crypto/secret.h"

enum { FILES_MAX = 4 * AQ_VALIDATORS_MAX, DIRS_MAX = 1024, KEYSTORE_MAX = 64 << 10, PATH_LEN_MAX = 4096 };

typedef struct {
  char **path;
  uint32_t cnt, max;
} path_list;

static bool add_path(path_list *l, const char *path) {
  if (l->cnt == l->max || !(l->path[l->cnt] = strdup(path))) return false;
  l->cnt++;
  return true;
}

static bool list_init(path_list *l, uint32_t max) {
  *l = (path_list){.path = calloc(max, sizeof *l->path), .max = max};
  return l->path != NULL;
}

static void list_free(path_list *l) {
  for (uint32_t i = 0; i < l->cnt; i++) free(l->path[i]);
  free(l->path);
}

static bool ends_with(const char *text, const char *end) {
  size_t len = strlen(text), end_len = strlen(end);
  return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* Files of one directory into the lists; directories below it onto the stack. */
static bool walk_one(path_list *json, path_list *txt, path_list *dirs, const char *dir) {
  bool ok = true;
  DIR *d = opendir(dir);
  for (struct dirent *e; ok && d && (e = readdir(d));) {
    char path[PATH_LEN_MAX];
    struct stat st;
    int len = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (e->d_name[0] == '.' || len < 0 || (size_t)len >= sizeof path || lstat(path, &st) != 0) continue;
    if (S_ISDIR(st.st_mode))
      ok = add_path(dirs, path);
    else if (ends_with(path, ".json"))
      ok = add_path(json, path);
    else if (ends_with(path, ".txt"))
      ok = add_path(txt, path);
  }
  if (d) closedir(d);
  return ok;
}

static bool walk(path_list *json, path_list *txt, const char *dir) {
  path_list dirs;
  bool ok = list_init(&dirs, DIRS_MAX) && add_path(&dirs, dir);
  for (uint32_t i = 0; ok && i < dirs.cnt; i++) ok = walk_one(json, txt, &dirs, dirs.path[i]);
  list_free(&dirs);
  return ok;
}

static bool is_object(aq_bytes json) {
  yyjson_doc *doc = aq_json_parse(json, KEYSTORE_MAX, NULL);
  bool is = yyjson_is_obj(yyjson_doc_get_root(doc));
  yyjson_doc_free(doc);
  return is;
}

/* *utf16 becomes the path of a text that can only be read once it is saved otherwise. */
static aq_status try_password(uint8_t secret[32], const char **utf16, aq_bytes json, const char *path, aq_err *why) {
  uint8_t *password = aq_guarded_alloc(1, AQ_PASSWORD_FILE_MAX);
  size_t len = 0;
  if (!password) return aq_fail(why, AQ_E_IO, "out of memory for a password");
  aq_status st = aq_secret_file_try(password, &len, AQ_PASSWORD_FILE_MAX, path, why);
  /* A text that is too long is not the password, whatever it is. */
  bool is_long = st == AQ_E_LIMIT || (st == AQ_OK && len > AQ_PASSWORD_MAX);
  if (is_long) st = aq_fail(why, AQ_E_AUTH, "%s: too long for a password", path);
  if (st == AQ_OK) st = aq_keystore_read(secret, json, aq_bytes_of(password, len), why);
  if (st == AQ_E_AUTH && !is_long && aq_password_is_utf16(aq_bytes_of(password, len))) *utf16 = path;
  if (st == AQ_OK) st = aq_secret_file_private(path, why); /* only now it is known to be a password */
  aq_guarded_free(password);
  return st;
}

/* Its own password file first. */
static aq_status open_keystore(uint8_t secret[32], aq_bytes json, const char *path, const path_list *txt, aq_err *err) {
  char own[PATH_LEN_MAX];
  snprintf(own, sizeof own, "%.*s.txt", (int)(strlen(path) - strlen(".json")), path);
  aq_err why = {AQ_OK, ""};
  const char *utf16 = NULL;
  aq_status st = try_password(secret, &utf16, json, own, &why);
  for (uint32_t i = 0; (st == AQ_E_AUTH || st == AQ_E_NOTFOUND) && i < txt->cnt; i++) {
    if (strcmp(txt->path[i], own) != 0) st = try_password(secret, &utf16, json, txt->path[i], &why);
  }
  if (st == AQ_E_AUTH && utf16)
    return aq_fail(err, st, "%s: no .txt file there has its password; save %s as UTF-8, it is UTF-16", path, utf16);
  if (st == AQ_E_AUTH || st == AQ_E_NOTFOUND) return aq_fail(err, st, "%s: no .txt file there has its password", path);
  if (st == AQ_E_IO) return aq_fail(err, st, "%s", why.text); /* of a file that it names */
  return st == AQ_OK ? AQ_OK : aq_fail(err, st, "%s: %s", path, why.text);
}

static aq_status load_all(aq_keys *k, const path_list *json, const path_list *txt, aq_err *err) {
  aq_status st = AQ_OK;
  for (uint32_t i = 0; st == AQ_OK && i < json->cnt; i++) {
    aq_buf text = AQ_BUF(KEYSTORE_MAX);
    st = aq_file_read(&text, json->path[i], err);
    if (st == AQ_E_LIMIT) {
      st = AQ_OK; /* too long for a keystore: something else */
    } else if (st == AQ_OK && is_object(aq_buf_bytes(&text))) {
      st = open_keystore(k->secret[k->cnt], aq_buf_bytes(&text), json->path[i], txt, err);
      if (st == AQ_OK) k->cnt++;
    }
    aq_buf_free(&text);
  }
  return st;
}

aq_status aq_keys_load_any(aq_keys *out, const char *dir, aq_err *err) {
  path_list json = {0}, txt = {NULL, 0, 0};
  aq_keys k = {.secret = NULL};
  aq_status st = AQ_OK;
  if (!list_init(&json, FILES_MAX) || !list_init(&txt, FILES_MAX) || !walk(&json, &txt, dir)) {
    st = aq_fail(err, AQ_E_LIMIT, "%s: too many files", dir);
  } else if (json.cnt == 0) {
    st = aq_fail(err, AQ_E_NOTFOUND, "%s: no keystores (*.json)", dir);
  } else if (!(k.secret = aq_guarded_alloc(json.cnt, sizeof *k.secret))) {
    st = aq_fail(err, AQ_E_LIMIT, "no locked memory for %u keys (see ulimit -l)", json.cnt);
  }
  if (st == AQ_OK) st = load_all(&k, &json, &txt, err);
  if (st == AQ_OK && k.cnt == 0) st = aq_fail(err, AQ_E_NOTFOUND, "%s: no keystores among its *.json", dir);
  list_free(&json);
  list_free(&txt);
  if (st != AQ_OK)
    aq_keys_free(&k);
  else
    *out = k;
  return st;
}
