/* The filter run by an emulator over every call number, then put on children that try. */
#include "adapter/sandbox.h"

#include "adapter/adapters.h"
#include "aq_test.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* The name of the step that went wrong goes to stderr; the child ends at once, without a sanitizer's last look. */
#define STEP(ok)                                               \
  do {                                                         \
    if (!(ok)) {                                               \
      dprintf(2, "%s: %s (errno %d)\n", __func__, #ok, errno); \
      _exit(1);                                                \
    }                                                          \
  } while (0)

/* The wait status of a child that runs fn. */
static int in_child(void (*fn)(const void *arg), const void *arg) {
  int status;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    fn(arg);
    _exit(0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

#define assert_child_ok(fn, arg) assert_int_equal(in_child((fn), (arg)), 0)

/* An emulator or an old kernel has no filters: then only the decision table can be tested. Not asked with our filter,
   whose failure must not pass for a kernel without. */
static void probe(const void *arg) {
  (void)arg;
  scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
  if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(chroot), 0) != 0 || seccomp_load(ctx) != 0)
    _exit(1);
}

static void need_filters(void) {
  if (in_child(probe, NULL) != 0) {
    print_message("no seccomp filters here\n");
    skip();
  }
}

static void filtered(void) {
  aq_err err = {0};
  aq_status st = aq_sandbox_filter(&err);
  if (st != AQ_OK) dprintf(2, "%s\n", err.text);
  STEP(st == AQ_OK);
}

/* ---- the decision table, by running the BPF program here ---- */

/* What the program of libseccomp answers: the part of classic BPF that filters are made of. */
static uint32_t run_bpf(const struct sock_filter *prog, size_t cnt, const struct seccomp_data *data) {
  uint32_t acc = 0;
  for (size_t pc = 0; pc < cnt; pc++) {
    const struct sock_filter *i = &prog[pc];
    bool yes = false;
    switch (i->code) {
      case BPF_LD | BPF_W | BPF_ABS:
        assert_true(i->k + 4 <= sizeof *data);
        memcpy(&acc, (const uint8_t *)data + i->k, 4);
        continue;
      case BPF_ALU | BPF_AND | BPF_K: acc &= i->k; continue;
      case BPF_RET | BPF_K: return i->k;
      case BPF_JMP | BPF_JA: pc += i->k; continue;
      case BPF_JMP | BPF_JEQ | BPF_K: yes = acc == i->k; break;
      case BPF_JMP | BPF_JGT | BPF_K: yes = acc > i->k; break;
      case BPF_JMP | BPF_JGE | BPF_K: yes = acc >= i->k; break;
      default: fail_msg("BPF code 0x%x", i->code);
    }
    pc += yes ? i->jt : i->jf;
  }
  fail_msg("the program has no end");
  return 0;
}

static size_t export(struct sock_filter *prog, size_t max, uint32_t arch) {
  FILE *f = tmpfile();
  assert_non_null(f);
  assert_int_equal(aq_sandbox_export(fileno(f), arch), AQ_OK);
  rewind(f);
  size_t cnt = fread(prog, sizeof *prog, max, f);
  assert_true(cnt > 100 && cnt < max);
  fclose(f);
  return cnt;
}

static uint32_t action_of(aq_sandbox_verdict v) {
  switch (v) {
    case AQ_SANDBOX_ALLOW: return SECCOMP_RET_ALLOW;
    case AQ_SANDBOX_KILL: return SECCOMP_RET_KILL_PROCESS;
    case AQ_SANDBOX_NO_CALL: return SECCOMP_RET_ERRNO | ENOSYS;
    case AQ_SANDBOX_REFUSE: break;
  }
  return SECCOMP_RET_ERRNO | EPERM;
}

enum { PROG_MAX = 4096 };

/* Calls with arguments; and which of the two answers each wants. */
static const struct {
  const char *name;
  uint64_t arg[3];
  bool allowed;
} cases[] = {
    {"mmap", {0, 4096, PROT_READ | PROT_WRITE}, true},
    {"mmap", {0, 4096, PROT_READ | PROT_EXEC}, false},
    {"mprotect", {0, 4096, PROT_READ}, true},
    {"mprotect", {0, 4096, PROT_EXEC}, false},
    {"socket", {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}, true},
    {"socket", {AF_INET, SOCK_DGRAM, 0}, true},
    {"socket", {AF_INET6, SOCK_STREAM, 0}, true},
    {"socket", {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0}, true},
    {"socket", {AF_UNIX, SOCK_STREAM, 0}, true},
    {"socket", {AF_INET, SOCK_RAW, 0}, false},
    {"socket", {AF_NETLINK, SOCK_RAW, 0}, false},
    {"socket", {AF_PACKET, SOCK_DGRAM, 0}, false},
    {"socket", {AF_VSOCK, SOCK_STREAM, 0}, false},
    {"socketpair", {AF_UNIX, SOCK_STREAM, 0}, true},
    {"socketpair", {AF_INET, SOCK_STREAM, 0}, false},
    /* glibc's flags of a thread, of fork, of posix_spawn; a thread with a view of its own. */
    {"clone", {0x3d0f00, 0, 0}, true},
    {"clone", {0x1200011, 0, 0}, false},
    {"clone", {CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0}, false},
    {"clone", {0x3d0f00 | CLONE_NEWNS, 0, 0}, false},
    {"clone", {0x3d0f00 | CLONE_NEWUSER, 0, 0}, false},
    {"ioctl", {1, 0x5401 /* TCGETS */, 0}, true},
    {"ioctl", {1, 0x5412 /* TIOCSTI */, 0}, false},
    {"prctl", {PR_SET_NAME, 0, 0}, true},
    {"prctl", {PR_SET_DUMPABLE, 1, 0}, false},
    {"prctl", {PR_SET_SECCOMP, 2, 0}, false},
    {"prlimit64", {0, RLIMIT_NOFILE, 0}, true},
    {"prlimit64", {0, RLIMIT_NOFILE, 4096}, false},
    {"kill", {1, SIGTERM, 0}, false},
    {"tgkill", {1, 1, SIGTERM}, false},
};

static void check_arch(uint32_t arch, uint32_t audit) {
  static struct sock_filter prog[PROG_MAX];
  size_t cnt = export(prog, PROG_MAX, arch), seen = 0, may = 0;
  for (int nr = 0; nr < 512; nr++) {
    char *name = seccomp_syscall_resolve_num_arch(arch, nr);
    if (!name) continue;
    const struct seccomp_data d = {.nr = nr, .arch = audit};
    uint32_t got = run_bpf(prog, cnt, &d), want = action_of(aq_sandbox_listed(name));
    bool has_args = false;
    for (size_t i = 0; i < AQ_COUNT(cases); i++) has_args |= strcmp(cases[i].name, name) == 0;
    if (got != want && !has_args) fail_msg("%s: 0x%x, wanted 0x%x", name, got, want);
    free(name);
    seen++, may += got == SECCOMP_RET_ALLOW;
  }
  assert_true(seen > 300 && may > 100 && may < 200);
  for (size_t i = 0; i < AQ_COUNT(cases); i++) {
    const uint64_t *a = cases[i].arg;
    int nr = seccomp_syscall_resolve_name_arch(arch, cases[i].name);
    assert_true(nr >= 0);
    const struct seccomp_data d = {.nr = nr, .arch = audit, .args = {a[0], a[1], a[2]}};
    uint32_t want = cases[i].allowed ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM;
    if (run_bpf(prog, cnt, &d) != want) fail_msg("%s, case %zu", cases[i].name, i);
  }
  const struct seccomp_data foreign = {.nr = 1, .arch = AUDIT_ARCH_I386};
  assert_int_equal(run_bpf(prog, cnt, &foreign), SECCOMP_RET_KILL_PROCESS);
}

/* Goal: the filter of each architecture says what the lists say, for each call there is, and checks arguments.
   Method: the BPF program that libseccomp makes is run here for amd64 and arm64. */
static void test_table(void **state) {
  (void)state;
  check_arch(SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64);
  check_arch(SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64);
  assert_int_equal(aq_sandbox_listed("clone3"), AQ_SANDBOX_NO_CALL);
  assert_int_equal(aq_sandbox_listed("execve"), AQ_SANDBOX_KILL);
  assert_int_equal(aq_sandbox_listed("fork"), AQ_SANDBOX_REFUSE);
}

/* ---- what works ---- */

static void *add_one(void *arg) {
  ++*(int *)arg;
  return NULL;
}

static void files_work(const char *dir) {
  char a[300], b[300], text[8];
  struct stat st;
  snprintf(a, sizeof a, "%s/a", dir), snprintf(b, sizeof b, "%s/b", dir);
  int fd = open(a, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  STEP(fd >= 0 && write(fd, "hello", 5) == 5 && fsync(fd) == 0 && pread(fd, text, 5, 0) == 5);
  STEP(fchmod(fd, 0640) == 0 && ftruncate(fd, 1) == 0 && fstat(fd, &st) == 0 && st.st_size == 1 && close(fd) == 0);
  STEP(rename(a, b) == 0 && access(a, F_OK) != 0 && stat(b, &st) == 0 && unlink(b) == 0);
  STEP(mkdir(a, 0700) == 0 && rmdir(a) == 0);
  FILE *f = fopen("/proc/self/smaps", "r");
  STEP(f && fgets(a, sizeof a, f));
  fclose(f);
}

static void sockets_work(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  STEP(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
  STEP(bind(l, (struct sockaddr *)&at, len) == 0 && listen(l, 1) == 0);
  STEP(getsockname(l, (struct sockaddr *)&at, &len) == 0 && connect(c, (struct sockaddr *)&at, len) == 0);
  int s = accept(l, NULL, NULL);
  char byte = 0;
  STEP(s >= 0 && send(s, "x", 1, 0) == 1 && recv(c, &byte, 1, 0) == 1 && byte == 'x');
  close(l), close(c), close(s);
  struct addrinfo *list = NULL, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  STEP(getaddrinfo("localhost", "80", &hints, &list) == 0 && list);
  freeaddrinfo(list);
}

static void things_work(const void *arg) {
  const char *dir = arg;
  filtered();
  files_work(dir);
  sockets_work();
  int done = 0, t = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  const struct itimerspec soon = {.it_value = {0, 1000}};
  struct pollfd p = {.fd = t, .events = POLLIN};
  STEP(t >= 0 && timerfd_settime(t, 0, &soon, NULL) == 0 && poll(&p, 1, 10000) == 1);
  pthread_t thread;
  STEP(pthread_create(&thread, NULL, add_one, &done) == 0 && pthread_join(thread, NULL) == 0 && done == 1);
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  STEP(page != MAP_FAILED && mprotect(page, 4096, PROT_NONE) == 0 && munmap(page, 4096) == 0);
  struct rlimit files;
  STEP(getrlimit(RLIMIT_NOFILE, &files) == 0 && kill(getpid(), 0) == 0);
}

/* The loop before; its threads and the store after the filter: more than the node asks of it. */
static void program_parts_work(const void *arg) {
  char path[300];
  snprintf(path, sizeof path, "%s/aequa.db", (const char *)arg);
  aq_sandbox_begin(true);
  aq_loop *l = aq_loop_new(2);
  filtered();
  aq_sqlite *db = NULL;
  aq_sqlite_cfg cfg = {.path = path};
  aq_err err = {0};
  aq_status st = aq_sqlite_open(&db, l, &cfg, &err);
  if (st != AQ_OK) dprintf(2, "%s\n", err.text);
  STEP(st == AQ_OK);
  const aq_store *store = aq_sqlite_port(db);
  store->backup(store->ctx);
  snprintf(path, sizeof path, "%s/aequa.db.bak", (const char *)arg);
  for (int i = 0; i < 2000 && access(path, R_OK) != 0; i++) poll(NULL, 0, 10); /* the store's thread makes it */
  STEP(access(path, R_OK) == 0);
  aq_sqlite_close(db);
  aq_loop_free(l);
}

static void with_dir(void (*fn)(const void *arg)) {
  char dir[100], path[120];
  const char *tmp = getenv("TMPDIR");
  static const char *const left[] = {"aequa.db",     "aequa.db.bak", "aequa.db.lock",
                                     "aequa.db-wal", "aequa.db-shm", "aequa.db.stamp"};
  snprintf(dir, sizeof dir, "%.60s/aequa-sandbox-XXXXXX", tmp ? tmp : P_tmpdir);
  assert_non_null(mkdtemp(dir));
  int status = in_child(fn, dir);
  for (size_t i = 0; i < AQ_COUNT(left); i++) {
    snprintf(path, sizeof path, "%s/%s", dir, left[i]);
    unlink(path);
  }
  assert_int_equal(rmdir(dir), 0);
  assert_int_equal(status, 0);
}

/* Goal: what a node does while it runs still works. Method: files, sockets, names, timers, threads; then the loop and
   the store with its backup, all in a filtered child. */
static void test_works(void **state) {
  (void)state;
  need_filters();
  with_dir(things_work);
  with_dir(program_parts_work);
}

/* ---- what is refused ---- */

static void refusals(const void *arg) {
  (void)arg;
  filtered();
#define REFUSED(call, want) STEP((errno = 0, (long)(call) == -1 && errno == (want)))
  REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
  REFUSED(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
  REFUSED(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
  REFUSED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EPERM);
  void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  STEP(page != MAP_FAILED);
  REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC), EPERM);
  REFUSED(fork(), EPERM);
  REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM);
  REFUSED(kill(getppid(), 0), EPERM);
  REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM);
  const struct rlimit files = {16, 16};
  REFUSED(setrlimit(RLIMIT_NOFILE, &files), EPERM);
  REFUSED(chdir("/"), EPERM);
  REFUSED(symlink("a", "b"), EPERM);
  REFUSED(personality(0xffffffff), EPERM);
  REFUSED(syscall(SYS_memfd_create, "x", 0), EPERM);
  REFUSED(syscall(SYS_pkey_mprotect, page, 4096, PROT_EXEC, -1), EPERM);
  REFUSED(syscall(435 /* clone3 */, NULL, 0), ENOSYS);
  REFUSED(syscall(434 /* pidfd_open */, getpid(), 0), ENOSYS);
  REFUSED(syscall(511, 0), ENOSYS);
}

/* Goal: calls that are on no list are refused, and the process lives on. Method: each in turn in a filtered child. */
static void test_refused(void **state) {
  (void)state;
  need_filters();
  assert_child_ok(refusals, NULL);
}

/* Arguments that no call takes, should the filter not be there. */
static void call_it(const void *arg) {
  filtered();
  (void)syscall(*(const int *)arg, -1L, -1L, -1L, -1L, -1L, -1L);
}

/* Goal: what only an intruder wants ends the process. Method: one child for each call. */
static void test_killed(void **state) {
  static const char *const name[] = {"execve",         "execveat",       "ptrace",        "process_vm_readv", "setuid",
                                     "setresgid",      "setgroups",      "capset",        "keyctl",           "unshare",
                                     "setns",          "mount",          "umount2",       "chroot",           "bpf",
                                     "init_module",    "kexec_load",     "userfaultfd",   "perf_event_open",  "reboot",
                                     "io_uring_setup", "io_uring_enter", "clock_settime", "pivot_root",       "syslog"};
  (void)state;
  need_filters();
  for (size_t i = 0; i < AQ_COUNT(name); i++) {
    int nr = seccomp_syscall_resolve_name(name[i]);
    assert_true(nr >= 0);
    assert_int_equal(aq_sandbox_listed(name[i]), AQ_SANDBOX_KILL);
    int status = in_child(call_it, &nr);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) fail_msg("%s: wait status 0x%x", name[i], status);
  }
}

typedef struct {
  int go[2];
  int got_errno;
} early_thread;

static void *early_main(void *arg) {
  early_thread *t = arg;
  char byte;
  if (read(t->go[0], &byte, 1) != 1) return NULL;
  errno = 0;
  if (chdir("/") != 0) t->got_errno = errno;
  return NULL;
}

static void thread_covered(const void *arg) {
  (void)arg;
  early_thread t = {.got_errno = 0};
  pthread_t thread;
  STEP(pipe(t.go) == 0 && pthread_create(&thread, NULL, early_main, &t) == 0);
  filtered();
  STEP(write(t.go[1], "x", 1) == 1 && pthread_join(thread, NULL) == 0);
  STEP(t.got_errno == EPERM);
}

/* Goal: a thread that runs already is under the filter too. Method: it waits, the filter comes, it tries. */
static void test_threads(void **state) {
  (void)state;
  need_filters();
  assert_child_ok(thread_covered, NULL);
}

/* ---- switching ---- */

static long status_field(const char *name) {
  char line[256];
  long value = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f)) {
    if (strncmp(line, name, strlen(name)) == 0) value = strtol(line + strlen(name), NULL, 10);
  }
  if (f) fclose(f);
  return value;
}

static void keep_line(void *arg, const char *line, size_t len) {
  snprintf(arg, AQ_LOG_LINE_MAX, "%.*s", (int)len, line);
}

static char logged[AQ_LOG_LINE_MAX];

static void switched_off(const void *arg) {
  (void)arg;
  aq_log_start(AQ_LOG_DEBUG, keep_line, logged);
  long before = status_field("Seccomp_filters:");
  aq_sandbox_begin(false);
  aq_sandbox_enter(false);
  STEP(strstr(logged, "\"msg\":\"sandbox\"") && strstr(logged, "--no-sandbox") && strstr(logged, "\"result\":\"off\""));
  STEP(status_field("Seccomp_filters:") == before && chdir("/") == 0);
}

static void switched_on(const void *arg) {
  (void)arg;
  aq_log_start(AQ_LOG_DEBUG, keep_line, logged);
  aq_sandbox_begin(true);
  errno = 0;
  bool has_ring = syscall(425 /* io_uring_setup */, 1, NULL) == -1 && errno != ENOSYS;
  aq_sandbox_enter(true);
  STEP(strstr(logged, "\"level\":\"info\"") && strstr(logged, "\"msg\":\"sandbox\""));
  STEP(!has_ring);
  if (AQ_SANITIZED) {
    STEP(strstr(logged, "sanitizer") && strstr(logged, "\"result\":\"off\"") && chdir("/") == 0);
  } else {
    STEP(strstr(logged, "\"result\":\"ok\"") && status_field("Seccomp:") == 2 && chdir("/") == -1);
  }
}

/* As on a kernel or in a container without filters. */
static void unavailable(const void *arg) {
  (void)arg;
  aq_log_start(AQ_LOG_DEBUG, keep_line, logged);
  scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
  STEP(ctx && seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) == 0);
  STEP(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP, 0)) == 0);
  STEP(seccomp_load(ctx) == 0);
  seccomp_release(ctx);
  aq_sandbox_begin(true);
  aq_sandbox_enter(true);
  STEP(chdir("/") == 0);
  if (AQ_SANITIZED) return;
  STEP(strstr(logged, "\"level\":\"warn\"") && strstr(logged, "\"result\":\"error\"") && strstr(logged, "\"err\":"));
  STEP(strstr(logged, "CONFIG_SECCOMP_FILTER"));
}

/* Goal: the option decides, each way leaves one line, and a system without filters stops nobody.
   Method: one child for each, the last with seccomp(2) itself refused. */
static void test_switch(void **state) {
  (void)state;
  assert_child_ok(switched_off, NULL);
  need_filters();
  assert_child_ok(switched_on, NULL);
  assert_child_ok(unavailable, NULL);
}

static void hardened(const void *arg) {
  (void)arg;
  aq_process_harden();
  struct rlimit core = {1, 1};
  STEP(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
  STEP(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
  STEP(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && status_field("NoNewPrivs:") == 1);
}

/* Goal: no core file can carry keys away, and no child gains rights. Method: what the kernel says afterwards. */
static void test_harden(void **state) {
  (void)state;
  assert_child_ok(hardened, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),  cmocka_unit_test(test_works),   cmocka_unit_test(test_refused),
      cmocka_unit_test(test_killed), cmocka_unit_test(test_threads), cmocka_unit_test(test_switch),
      cmocka_unit_test(test_harden),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
