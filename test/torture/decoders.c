/* aequa-torture: every fuzz target over its committed corpus, again and again, the k-th allocation refused, for all k
   until the run ends without a refusal; once only that one, once all from there on. A run may not crash, may not leave
   memory behind that the same run without a refusal does not, and in the decoders may not end in an assertion: their
   callers get a status. Each input runs in a child that carries on until something goes wrong. */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

enum { SITES_MAX = 256, STRIDE_DEFAULT = 1 };

/* Shared with the child. */
static struct {
  uint64_t k;
  bool rest, ended;
  uint64_t runs, leaked, total;
  void *site[TORTURE_SITES];
  char assertion[256];
} * say;

typedef struct {
  const char *only, *corpus;
  uint64_t files, stride, each;
  bool verbose;
} options;

static struct {
  char text[256], where[96];
  uint64_t cnt;
} found[SITES_MAX];
static uint32_t found_cnt;
static uint64_t stops;

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) {
  (void)data, (void)max_size;
  return size;
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) { return "print_stacktrace=1"; }

void __wrap_aq_assert_failed(const char *file, int line, const char *expr) __attribute__((noreturn));
void __wrap_aq_assert_failed(const char *file, int line, const char *expr) {
  const char *src = strstr(file, "/src/");
  snprintf(say->assertion, sizeof say->assertion, "%s:%d: %s", src ? src + 5 : file, line, expr);
  _exit(3);
}

/* Asserts of the targets themselves and of their fakes are not ours to judge. */
static bool of_harness(const char *what) { return strstr(what, "_fuzz.c:") || strstr(what, "fake/"); }

/* Up to cluster memory that is short is a status. Above a small piece of fixed size that is not there stops the process
   on purpose (base/assert.h): safe, and counted here, but no finding. */
static bool may_stop(const char *assertion) {
  static const char *const never[] = {"base/", "crypto/", "codec/", "identity/", "eth/", "duty/", "cluster/"};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
    if (strncmp(assertion, never[i], strlen(never[i])) == 0) return false;
  }
  return true;
}

static void report(const char *name, const char *file, const char *what) {
  for (uint32_t i = 0; i < found_cnt; i++) {
    if (strcmp(found[i].text, what) == 0) {
      found[i].cnt++;
      return;
    }
  }
  if (found_cnt == SITES_MAX) return;
  snprintf(found[found_cnt].text, sizeof found[0].text, "%s", what);
  snprintf(found[found_cnt].where, sizeof found[0].where, "%s %.40s, call %" PRIu64 "%s", name, file, say->k,
           say->rest ? " and all later ones" : "");
  if (found_cnt < 20) fprintf(stdout, "found: %s (%s)\n", found[found_cnt].text, found[found_cnt].where);
  found[found_cnt++].cnt = 1;
}

static uint64_t once(torture_run *run, const uint8_t *data, size_t len, uint64_t k, bool rest, uint64_t *kept,
                     void **site) {
  torture_arm(k, rest);
  (void)run(data, len);
  return torture_disarm(kept, site);
}

static void child(const options *o, torture_run *run, const uint8_t *data, size_t len) {
  uint64_t normal = 0, kept;
  void *site[TORTURE_SITES] = {NULL};
  for (int warm = 0; warm < 2; warm++) say->total = once(run, data, len, 0, false, &normal, site);
  uint64_t step = o->stride;
  if (o->each && say->total / o->each + 1 > step) step = say->total / o->each + 1;
  for (;; say->k += step) {
    if (say->k > say->total + step) {
      if (say->rest) break;
      say->rest = true;
      say->k = 1;
    }
    (void)once(run, data, len, say->k, say->rest, &kept, site);
    say->runs++;
    if (kept > normal) {
      say->leaked++;
      memcpy(say->site, site, sizeof site);
      _exit(4);
    }
  }
  say->ended = true;
  _exit(0);
}

/* Where the first frame outside base/ and the sanitizer lies. */
static bool blame(char out[256], const char *line) {
  const char *src = strstr(line, "/src/");
  if (!src || strstr(line, "libsanitizer") || (strstr(line, "/src/base/") && !strstr(line, "_fuzz.c"))) return false;
  snprintf(out, 256, "%.200s", src + 5);
  out[strcspn(out, "\n")] = 0;
  return true;
}

static void describe_leak(char out[256], const char *program) {
  char cmd[400], line[300], place[256] = "?";
  int at = snprintf(cmd, sizeof cmd, "addr2line -e %s", program);
  for (int i = 0; i < TORTURE_SITES && say->site[i]; i++)
    at += snprintf(cmd + at, sizeof cmd - (size_t)at, " %p", (void *)((uintptr_t)say->site[i] - 1));
  FILE *p = popen(cmd, "r");
  while (p && fgets(line, sizeof line, p) && !blame(place, line)) continue;
  if (p) pclose(p);
  snprintf(out, 256, "leak of what was allocated at %.200s", place);
}

static void describe_crash(char out[256], int status, int err) {
  char line[1024], place[256] = "?";
  FILE *f = fdopen(dup(err), "r");
  if (f) rewind(f);
  while (f && fgets(line, sizeof line, f)) {
    if ((strstr(line, "runtime error") || strstr(line, " in ")) && blame(place, line)) break;
  }
  if (f) fclose(f);
  snprintf(out, 256, "%s %d at %.200s", WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), place);
}

/* true: this input is done. */
static bool attempt(const options *o, uint32_t which, const char *file, const uint8_t *data, size_t len,
                    const char *program) {
  static int err = -1;
  if (err < 0) err = memfd_create("stderr", 0);
  fflush(stdout);
  if (ftruncate(err, 0) != 0 || lseek(err, 0, SEEK_SET) != 0) exit(1);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(err, 2);
    child(o, target[which].run, data, len);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) exit(1);
  if (say->ended) return true;
  char what[256];
  if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
    snprintf(what, sizeof what, "%s", say->assertion);
    stops++;
    bool fine = may_stop(what);
    if (o->verbose && fine) printf("stops: %s\n", what);
    if (fine) what[0] = 0;
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == 4) {
    describe_leak(what, program);
  } else {
    describe_crash(what, status, err);
  }
  if (what[0] && !of_harness(what)) report(target[which].name, file, what);
  if (o->verbose && what[0]) printf("%s %s call %" PRIu64 ": %s\n", target[which].name, file, say->k, what);
  say->assertion[0] = 0;
  say->k++;
  return say->k > say->total + 1 && say->rest;
}

static void one_file(const options *o, uint32_t which, const char *dir, const char *name, const char *program) {
  char path[4400];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "rb");
  if (!f) return;
  static uint8_t data[1 << 20];
  size_t len = fread(data, 1, sizeof data, f);
  fclose(f);
  uint64_t runs = say->runs;
  memset(say, 0, sizeof *say);
  say->runs = runs;
  say->k = 1;
  for (uint32_t tries = 0; tries < 4096; tries++) {
    if (attempt(o, which, name, data, len, program)) break;
  }
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static uint64_t number(const char *text) {
  char *end;
  uint64_t v = strtoull(text, &end, 10);
  return *end ? 0 : v;
}

int main(int argc, char **argv) {
  options o = {.stride = STRIDE_DEFAULT, .files = UINT64_MAX};
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--target") == 0)
      o.only = next, i++;
    else if (strcmp(argv[i], "--files") == 0)
      o.files = number(next), i++;
    else if (strcmp(argv[i], "--each") == 0)
      o.each = number(next), i++;
    else if (strcmp(argv[i], "--verbose") == 0)
      o.verbose = true;
    else
      o.corpus = argv[i];
  }
  if (!o.corpus || !o.files) {
    fprintf(stderr, "usage: aequa-torture [--target NAME] [--files N] [--each CALLS] [--verbose] CORPUS\n");
    return 2;
  }
  say = mmap(NULL, sizeof *say, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (say == MAP_FAILED) return 1;
  for (uint32_t t = 0; t < sizeof target / sizeof *target; t++) {
    if (o.only && strcmp(o.only, target[t].name) != 0) continue;
    char dir[4096];
    struct dirent **list;
    snprintf(dir, sizeof dir, "%s/%s", o.corpus, target[t].name);
    int cnt = scandir(dir, &list, NULL, by_name);
    uint64_t used = 0, before = say->runs;
    for (int i = 0; i < cnt; i++) {
      if (list[i]->d_name[0] != '.' && used++ < o.files) one_file(&o, t, dir, list[i]->d_name, argv[0]);
      free(list[i]);
    }
    if (cnt > 0) free(list);
    printf("%-28s %3" PRIu64 " inputs, %8" PRIu64 " runs\n", target[t].name, used < o.files ? used : o.files,
           say->runs - before);
  }
  for (uint32_t i = 0; i < found_cnt; i++)
    printf("%s (%" PRIu64 " times; first: %s)\n", found[i].text, found[i].cnt, found[i].where);
  printf("%" PRIu64 " runs, %" PRIu64 " clean stops, %u findings\n", say->runs, stops, found_cnt);
  return found_cnt ? 1 : 0;
}
