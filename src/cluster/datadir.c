/* Files, identity key, key lock. Keystores: keys.c. */
#include "cluster/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/time.h"
#include "cluster/rfc3339.h"
#include "codec/json.h"
#include "codec/json_out.h"
#include "crypto/secret.h"

enum { PATH_LEN_MAX = 4096, KEY_FILE_MAX = 256, KEY_LOCK_MAX = 4096 };

/* ---- files ---- */

static aq_status fail_errno(aq_err *err, const char *path, const char *what) {
  int code = errno;
  aq_status st = code == ENOENT ? AQ_E_NOTFOUND : code == EEXIST ? AQ_E_EXISTS : AQ_E_IO;
  return aq_fail(err, st, "%s: %s: %s", path, what, strerror(code));
}

/* Up to max bytes and one more, which tells that the file is longer. */
static aq_status read_fd(int fd, aq_buf *out) {
  uint8_t chunk[16384];
  for (;;) {
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n == 0 ? aq_buf_status(out) : AQ_E_IO;
    aq_buf_put(out, chunk, (size_t)n);
    if (out->failed) return AQ_E_LIMIT;
  }
}

static const char *kind_name(mode_t mode) {
  return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

/* Looks before it opens: a pipe would wait for a writer, a device may act on being opened and never end. */
static aq_status open_file(int *out, struct stat *info, const char *path, aq_err *err) {
  if (stat(path, info) != 0) return fail_errno(err, path, "cannot open");
  int fd = S_ISREG(info->st_mode) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
  if (S_ISREG(info->st_mode) && (fd < 0 || fstat(fd, info) != 0)) {
    aq_status st = fail_errno(err, path, "cannot open");
    if (fd >= 0) close(fd);
    return st;
  }
  if (!S_ISREG(info->st_mode)) { /* seen at once, or put there meanwhile */
    if (fd >= 0) close(fd);
    return aq_fail(err, AQ_E_IO, "%s: is %s, not a file", path, kind_name(info->st_mode));
  }
  *out = fd;
  return AQ_OK;
}

aq_status aq_file_read(aq_buf *out, const char *path, aq_err *err) {
  int fd = -1;
  struct stat info;
  aq_status st = open_file(&fd, &info, path, err);
  if (st != AQ_OK) return st;
  st = read_fd(fd, out);
  if (st == AQ_E_IO)
    st = fail_errno(err, path, "cannot read");
  else if (st != AQ_OK)
    (void)aq_fail(err, st, "%s: over %zu bytes", path, out->max);
  close(fd);
  return st;
}

static aq_status check_private(int fd, const struct stat *info, const char *path, aq_err *err) {
  struct statvfs fs;
  unsigned mode = (unsigned)info->st_mode & 0777;
  if (!(mode & 077)) return AQ_OK;
  bool fixed = fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY);
  if (!fixed) return aq_fail(err, AQ_E_IO, "others can use this secret (mode %04o): chmod 600 %s", mode, path);
  char text[8];
  snprintf(text, sizeof text, "%04o", mode);
  AQ_LOG(AQ_LOG_WARN, "secret_mode", AQ_STR("mode", text),
         AQ_STR("note", "others can read this secret; taken, since its file system is read-only"),
         AQ_STR("path", path));
  return AQ_OK;
}

static aq_status read_secret(uint8_t *out, size_t *len, size_t max, const char *path, bool private, aq_err *err) {
  uint8_t more;
  ssize_t n;
  int fd = -1;
  struct stat info;
  *len = 0;
  aq_status st = open_file(&fd, &info, path, err);
  if (st != AQ_OK) return st;
  if (private) st = check_private(fd, &info, path, err);
  while (st == AQ_OK) {
    n = *len < max ? read(fd, out + *len, max - *len) : read(fd, &more, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) st = fail_errno(err, path, "cannot read");
    if (n > 0 && *len == max) st = aq_fail(err, AQ_E_LIMIT, "%s: over %zu bytes", path, max);
    if (n <= 0 || st != AQ_OK) break;
    *len += (size_t)n;
  }
  close(fd);
  return st;
}

aq_status aq_secret_file_read(uint8_t *out, size_t *len, size_t max, const char *path, aq_err *err) {
  return read_secret(out, len, max, path, true, err);
}

aq_status aq_secret_file_try(uint8_t *out, size_t *len, size_t max, const char *path, aq_err *err) {
  return read_secret(out, len, max, path, false, err);
}

aq_status aq_secret_file_private(const char *path, aq_err *err) {
  int fd = -1;
  struct stat info;
  aq_status st = open_file(&fd, &info, path, err);
  if (st != AQ_OK) return st;
  st = check_private(fd, &info, path, err);
  close(fd);
  return st;
}

static bool write_all(int fd, aq_bytes data) {
  while (data.len) {
    ssize_t n = write(fd, data.ptr, data.len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data = aq_bytes_sub(data, (size_t)n, data.len - (size_t)n);
  }
  return true;
}

/* The directory of a path, "." when it has none; false when it does not fit. */
static bool parent_of(char out[PATH_LEN_MAX], const char *path) {
  const char *slash = strrchr(path, '/');
  int len = slash ? (slash == path ? 1 : (int)(slash - path)) : 0;
  int n = slash ? snprintf(out, PATH_LEN_MAX, "%.*s", len, path) : snprintf(out, PATH_LEN_MAX, ".");
  return n >= 0 && n < PATH_LEN_MAX;
}

/* A rename is on disk when its directory is. */
static void sync_parent(const char *path) {
  char dir[PATH_LEN_MAX];
  if (!parent_of(dir, path)) return;
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

static aq_status write_file(const char *path, aq_bytes data, int mode, bool durable, aq_err *err) {
  char temp[PATH_LEN_MAX];
  int len = snprintf(temp, sizeof temp, "%s.tmp-%ld", path, (long)getpid());
  if (len < 0 || (size_t)len >= sizeof temp) return aq_fail(err, AQ_E_LIMIT, "%.100s...: the path is too long", path);
  (void)unlink(temp); /* left by a process of this number that died */
  int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(err, temp, "cannot create");
  bool ok = write_all(fd, data) && fchmod(fd, (mode_t)mode) == 0 && (!durable || fsync(fd) == 0);
  if (!ok) (void)fail_errno(err, temp, "cannot write");
  if (close(fd) != 0 && ok) ok = false, (void)fail_errno(err, temp, "cannot write");
  if (ok && rename(temp, path) != 0) ok = false, (void)fail_errno(err, path, "cannot replace");
  if (!ok) {
    (void)unlink(temp);
    return AQ_E_IO;
  }
  if (durable) sync_parent(path);
  return AQ_OK;
}

aq_status aq_file_write(const char *path, aq_bytes data, int mode, aq_err *err) {
  return write_file(path, data, mode, true, err);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
  (void)st, (void)kind, (void)ftw;
  return remove(path);
}

void aq_dir_remove(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

aq_status aq_dir_create(const char *path, int mode, aq_err *err) {
  char part[PATH_LEN_MAX];
  struct stat st;
  size_t len = strlen(path);
  if (len == 0 || len >= sizeof part) return aq_fail(err, AQ_E_LIMIT, "%.100s: the path is empty or too long", path);
  memcpy(part, path, len + 1);
  for (size_t i = 1; i <= len; i++) {
    if (part[i] != '/' && part[i]) continue;
    char keep = part[i];
    part[i] = 0;
    if (mkdir(part, (mode_t)mode) != 0 && errno != EEXIST) return fail_errno(err, part, "cannot create the directory");
    part[i] = keep;
  }
  if (stat(path, &st) != 0) return fail_errno(err, path, "cannot use the directory");
  return S_ISDIR(st.st_mode) ? AQ_OK : aq_fail(err, AQ_E_EXISTS, "%s: is no directory", path);
}

/* ---- identity key ---- */

/* What the text and the bytes of a key pass through; guarded, for the time of one call. */
typedef struct {
  uint8_t text[KEY_FILE_MAX + 8], secret[32];
  size_t len;
} key_scratch;

static key_scratch *scratch_new(aq_err *err) {
  key_scratch *s = aq_guarded_alloc(1, sizeof *s);
  if (!s) (void)aq_fail(err, AQ_E_LIMIT, "out of memory for the identity key");
  return s;
}

static aq_status identity_of_text(aq_k1_key **out, key_scratch *s) {
  aq_status st = aq_secret_hex_decode(s->secret, 32, aq_secret_trim(aq_bytes_of(s->text, s->len)));
  return st == AQ_OK ? aq_k1_key_new(out, s->secret) : st;
}

aq_status aq_identity_load(aq_k1_key **out, const char *path, aq_err *err) {
  key_scratch *s = scratch_new(err);
  if (!s) return AQ_E_LIMIT;
  aq_status st = aq_secret_file_read(s->text, &s->len, KEY_FILE_MAX, path, err);
  if (st == AQ_OK) st = identity_of_text(out, s);
  if (st == AQ_E_NOTFOUND) (void)aq_fail(err, st, "%s: there is no identity key (aequa create enr makes one)", path);
  if (st == AQ_E_FORMAT || st == AQ_E_LIMIT)
    st = aq_fail(err, AQ_E_FORMAT, "%s: not 64 hex digits of a secp256k1 key; restore it from your backup", path);
  aq_guarded_free(s);
  return st;
}

aq_status aq_identity_store(const char *path, const aq_k1_key *key, aq_err *err) {
  key_scratch *s = scratch_new(err);
  if (!s) return AQ_E_LIMIT;
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* never over another key */
  if (fd < 0) {
    aq_status failed = fail_errno(err, path, "cannot create the identity key");
    aq_guarded_free(s);
    return failed;
  }
  aq_k1_export(s->secret, key);
  aq_secret_hex_encode((char *)s->text, s->secret, sizeof s->secret);
  bool ok = write_all(fd, aq_bytes_of(s->text, 64)) && fsync(fd) == 0;
  aq_status st = ok ? AQ_OK : fail_errno(err, path, "cannot write");
  close(fd);
  aq_guarded_free(s);
  if (st != AQ_OK)
    (void)unlink(path);
  else
    sync_parent(path);
  return st;
}

aq_status aq_identity_create(aq_k1_key **out, const char *path, aq_err *err) {
  char dir[PATH_LEN_MAX];
  if (!parent_of(dir, path)) return aq_fail(err, AQ_E_LIMIT, "%.100s...: the path is too long", path);
  if (access(path, F_OK) == 0) return aq_fail(err, AQ_E_EXISTS, "%s: there is a key already; it is not replaced", path);
  aq_status st = aq_dir_create(dir, 0755, err);
  if (st != AQ_OK) return st;
  aq_k1_key *key = aq_k1_key_generate();
  st = aq_identity_store(path, key, err);
  if (st != AQ_OK)
    aq_k1_key_free(key);
  else
    *out = key;
  return st;
}

/* ---- key lock, cluster.md 1.5 ---- */

/* Two epochs of 32 slots of 12 s: a changed cluster must not sign in an epoch in which the old one did. */
enum { ALIVE_S = 5, CHANGED_S = 768 };

static bool key_lock_path(char out[PATH_LEN_MAX], const char *key_path) {
  int len = snprintf(out, PATH_LEN_MAX, "%s.lock", key_path);
  return len > 0 && len < PATH_LEN_MAX;
}

aq_status aq_keylock_touch(const char *key_path, const char *command, const char *lock_hash_text, uint64_t now_ns) {
  char path[PATH_LEN_MAX], stamp[AQ_RFC3339_MAX];
  if (!key_lock_path(path, key_path)) return AQ_E_LIMIT;
  aq_buf json = AQ_BUF(KEY_LOCK_MAX);
  aq_rfc3339_print(stamp, now_ns, false);
  aq_json_out o = aq_json_out_line(&json);
  aq_json_out_open(&o, NULL, '{');
  aq_json_out_str(&o, "command", command);
  aq_json_out_str(&o, "timestamp", stamp);
  if (*lock_hash_text) aq_json_out_str(&o, "cluster_lock_hash", lock_hash_text);
  aq_json_out_close(&o, '}');
  /* Not flushed: it need not survive the machine, only tell other processes on it. */
  aq_status st = aq_buf_status(&json) == AQ_OK ? write_file(path, aq_buf_bytes(&json), 0644, false, NULL) : AQ_E_LIMIT;
  aq_buf_free(&json);
  return st;
}

static aq_status judge_key_lock(const char *path, yyjson_val *obj, const char *lock_hash_text, uint64_t now_ns,
                                aq_err *err) {
  const char *command = aq_json_str(obj, "command"), *stamp = aq_json_str(obj, "timestamp");
  const char *hash = aq_json_str(obj, "cluster_lock_hash");
  uint64_t then_ns;
  if (!stamp || aq_rfc3339_parse(&then_ns, aq_bytes_str(stamp)) != AQ_OK) {
    return aq_fail(err, AQ_E_FORMAT, "%s: cannot be understood; if no node uses this key, remove the file", path);
  }
  /* A node that runs writes it anew each second, by the clock that we see: so no node on this machine wrote this. */
  if (then_ns > now_ns && then_ns - now_ns > AQ_SECONDS(ALIVE_S)) {
    return aq_fail(err, AQ_E_EXISTS,
                   "%s: dated %llu s ahead of this machine's clock: set the clock right; if no node uses this key, "
                   "remove the file",
                   path, (unsigned long long)((then_ns - now_ns) / AQ_NS_PER_SEC));
  }
  uint64_t age_ns = now_ns > then_ns ? now_ns - then_ns : 0;
  if (age_ns <= AQ_SECONDS(ALIVE_S)) {
    return aq_fail(err, AQ_E_EXISTS, "%s: \"%.40s\" uses this key right now; stop it first", path,
                   command ? command : "?");
  }
  if (hash && *hash && strcmp(hash, lock_hash_text) != 0 && age_ns < AQ_SECONDS(CHANGED_S)) {
    unsigned wait = CHANGED_S - (unsigned)(age_ns / AQ_NS_PER_SEC);
    return aq_fail(err, AQ_E_EXISTS, "%s: the cluster lock changed; to be safe from double signing wait %u s", path,
                   wait);
  }
  return AQ_OK;
}

static aq_status check_key_lock(const char *path, const char *lock_hash_text, uint64_t now_ns, aq_err *err) {
  aq_buf text = AQ_BUF(KEY_LOCK_MAX);
  aq_err why = {AQ_OK, ""};
  aq_status st = aq_file_read(&text, path, err);
  if (st == AQ_OK) {
    yyjson_doc *doc = aq_json_parse(aq_buf_bytes(&text), KEY_LOCK_MAX, &why);
    if (doc)
      st = judge_key_lock(path, yyjson_doc_get_root(doc), lock_hash_text, now_ns, err);
    else
      st = aq_fail(err, AQ_E_FORMAT, "%s: %s; if no node uses this key, remove the file", path, why.text);
    yyjson_doc_free(doc);
  }
  aq_buf_free(&text);
  return st == AQ_E_NOTFOUND ? AQ_OK : st;
}

aq_status aq_keylock_take(const char *key_path, const char *command, const char *lock_hash_text, uint64_t now_ns,
                          aq_err *err) {
  char path[PATH_LEN_MAX];
  struct stat file;
  if (stat(key_path, &file) != 0) return fail_errno(err, key_path, "cannot use the identity key");
  if (S_ISDIR(file.st_mode)) return aq_fail(err, AQ_E_IO, "%s: is a directory, not the identity key", key_path);
  if (!key_lock_path(path, key_path)) return aq_fail(err, AQ_E_LIMIT, "%.100s...: the path is too long", key_path);
  aq_status st = check_key_lock(path, lock_hash_text, now_ns, err);
  if (st != AQ_OK) return st;
  if (aq_keylock_touch(key_path, command, lock_hash_text, now_ns) != AQ_OK)
    return fail_errno(err, path, "cannot write");
  return AQ_OK;
}
