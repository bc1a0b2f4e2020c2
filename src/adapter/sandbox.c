/* The lists of system calls, and the seccomp filter that is made from them. Why so: docs/decisions/005. */
#include "adapter/sandbox.h"

#include "base/compiler.h"
#include "base/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Calls younger than Linux 5.1 have the same number on every architecture; x32 has numbers of its own from 512 on. */
enum { YOUNG_FIRST = 424, YOUNG_LAST = 511, NAME_MAX_LEN = 40 };

/* Names that an architecture does not have are passed over: arm64 lacks open, poll, epoll_wait and others that glibc
   makes from their younger forms there. */
static const char *const allowed[] = {
    /* Open files and pipes: the log, the store, sockets. */
    "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 close lseek dup dup2 dup3 fcntl flock "
    "pipe pipe2 fadvise64",
    /* Files by name: SQLite with its log and backup, the key lock, resolv.conf and hosts, /proc/self for the metrics,
       certificates. fchown: SQLite as root gives its log to the database's owner. */
    "open openat creat stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink "
    "readlinkat "
    "getcwd getdents64 rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir chmod fchmod fchmodat fchown "
    "umask ftruncate fallocate fsync fdatasync",
    /* Memory, none of it executable (see limited): malloc, stacks of threads, guarded pages of keys. */
    "brk munmap mremap madvise mlock munlock membarrier",
    /* Peers, HTTP both ways, name servers. socket and socketpair: see limited. */
    "bind listen accept accept4 connect getsockname getpeername setsockopt getsockopt shutdown sendto sendmsg sendmmsg "
    "recvfrom recvmsg recvmmsg",
    /* Waiting: libuv, libcurl, the resolver. */
    "epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6 eventfd "
    "eventfd2 timerfd_create timerfd_settime timerfd_gettime",
    /* Time; never to set it. */
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time",
    /* Threads: workers and libuv's, started when there is work. clone: see limited. */
    "futex futex_waitv set_robust_list get_robust_list set_tid_address rseq gettid sched_yield sched_getaffinity "
    "getcpu exit exit_group restart_syscall",
    /* Signals to itself: kill and tgkill: see limited. */
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait sigaltstack",
    /* Looking at itself and the machine; randomness. */
    "getpid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getsid getrlimit getrusage "
    "times uname sysinfo getrandom",
};

static const char *const killed[] = {
    /* Other programs. */
    "execve execveat uselib",
    /* Other processes, and one's own from outside. */
    "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise",
    /* Another identity. */
    "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset keyctl add_key request_key",
    /* Another view of the system. */
    "unshare setns mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr "
    "open_by_handle_at",
    /* The kernel: code in it, or its richest sources of faults. io_uring goes past this filter. */
    "bpf init_module finit_module delete_module create_module kexec_load kexec_file_load perf_event_open userfaultfd "
    "io_uring_setup io_uring_enter io_uring_register",
    /* The machine. */
    "reboot swapon swapoff acct quotactl quotactl_fd syslog iopl ioperm modify_ldt vhangup sethostname setdomainname "
    "settimeofday clock_settime clock_adjtime adjtimex",
};

/* Allowed with these arguments only. value is compared under mask; two conditions at most. */
typedef struct {
  const char *name;
  unsigned cnt;
  struct {
    unsigned arg;
    uint64_t mask, value;
  } when[2];
} limit;

#define ALL UINT64_MAX
#define ONE(n, arg, mask, value) \
  {                              \
    (n), 1, {                    \
      { (arg), (mask), (value) } \
    }                            \
  }
#define SOCKET(n, family, type)                    \
  {                                                \
    (n), 2, {                                      \
      {0, ALL, (family)}, { 1, SOCK_TYPE, (type) } \
    }                                              \
  }
/* Threads share everything and are in no new namespace. */
#define CLONE_CHECKED                                                                                      \
  (CLONE_THREAD | CLONE_VM | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
   CLONE_NEWPID | CLONE_NEWNET)

enum { SOCK_TYPE = 15 };
#define SELF UINT64_MAX /* the own process id goes there */

/* Address families as in deploy/systemd/aequa.service. glibc asks a netlink socket which families the host has, and
   takes a refusal for "both". */
static const limit limited[] = {
    ONE("mmap", 2, PROT_EXEC, 0),
    ONE("mprotect", 2, PROT_EXEC, 0),
    SOCKET("socket", AF_INET, SOCK_STREAM),
    SOCKET("socket", AF_INET, SOCK_DGRAM),
    SOCKET("socket", AF_INET6, SOCK_STREAM),
    SOCKET("socket", AF_INET6, SOCK_DGRAM),
    SOCKET("socket", AF_UNIX, SOCK_STREAM),
    SOCKET("socket", AF_UNIX, SOCK_DGRAM),
    ONE("socketpair", 0, ALL, AF_UNIX),
    ONE("clone", 0, CLONE_CHECKED, CLONE_THREAD | CLONE_VM),
    ONE("ioctl", 1, ALL, FIONBIO),
    ONE("ioctl", 1, ALL, FIONREAD),
    ONE("ioctl", 1, ALL, FIOCLEX),
    ONE("ioctl", 1, ALL, TCGETS),
    ONE("ioctl", 1, ALL, TIOCGWINSZ),
    ONE("prctl", 0, ALL, PR_SET_NAME),
    ONE("prctl", 0, ALL, PR_GET_NAME),
    ONE("prctl", 0, ALL, PR_GET_DUMPABLE),
    ONE("prctl", 0, ALL, PR_SET_VMA),
    ONE("prlimit64", 2, ALL, 0), /* to read */
    ONE("kill", 0, ALL, SELF),
    ONE("tgkill", 0, ALL, SELF),
};

/* ---- the filter ---- */

/* The next word of a group; false at its end. */
static bool next_name(const char **at, char name[NAME_MAX_LEN]) {
  *at += strspn(*at, " ");
  size_t len = strcspn(*at, " ");
  if (len == 0 || len >= NAME_MAX_LEN) return false;
  snprintf(name, NAME_MAX_LEN, "%.*s", (int)len, *at);
  *at += len;
  return true;
}

/* A name that this libseccomp does not know is one that this kernel's programs do without; strict: it is a slip of the
   pen. */
static int add_names(scmp_filter_ctx ctx, uint32_t action, const char *names, bool strict) {
  char name[NAME_MAX_LEN];
  int rc = 0;
  while (rc == 0 && next_name(&names, name)) {
    int nr = seccomp_syscall_resolve_name(name);
    if (strict && nr == __NR_SCMP_ERROR) rc = -EINVAL;
    if (nr >= 0) rc = seccomp_rule_add(ctx, action, nr, 0);
  }
  return rc;
}

static int add_limited(scmp_filter_ctx ctx, const limit *l) {
  struct scmp_arg_cmp cmp[2];
  int nr = seccomp_syscall_resolve_name(l->name);
  if (nr < 0) return 0;
  for (unsigned i = 0; i < l->cnt; i++) {
    uint64_t value = l->when[i].value == SELF ? (uint64_t)getpid() : l->when[i].value;
    cmp[i] = l->when[i].mask == ALL ? (struct scmp_arg_cmp){l->when[i].arg, SCMP_CMP_EQ, value, 0}
                                    : (struct scmp_arg_cmp){l->when[i].arg, SCMP_CMP_MASKED_EQ, l->when[i].mask, value};
  }
  return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, l->cnt, cmp);
}

static bool has_name(const char *names, const char *wanted) {
  char name[NAME_MAX_LEN];
  while (next_name(&names, name)) {
    if (strcmp(name, wanted) == 0) return true;
  }
  return false;
}

aq_sandbox_verdict aq_sandbox_listed(const char *name) {
  for (size_t i = 0; i < AQ_COUNT(allowed); i++) {
    if (has_name(allowed[i], name)) return AQ_SANDBOX_ALLOW;
  }
  for (size_t i = 0; i < AQ_COUNT(limited); i++) {
    if (strcmp(limited[i].name, name) == 0) return AQ_SANDBOX_ALLOW;
  }
  for (size_t i = 0; i < AQ_COUNT(killed); i++) {
    if (has_name(killed[i], name)) return AQ_SANDBOX_KILL;
  }
  int nr = seccomp_syscall_resolve_name(name);
  return nr >= YOUNG_FIRST && nr <= YOUNG_LAST ? AQ_SANDBOX_NO_CALL : AQ_SANDBOX_REFUSE;
}

/* clone3 among them: its flags lie in memory that a filter cannot read, and glibc then starts threads with clone. */
static int add_young(scmp_filter_ctx ctx, bool native) {
  for (int nr = YOUNG_FIRST; nr <= YOUNG_LAST; nr++) {
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
    bool listed = name && aq_sandbox_listed(name) != AQ_SANDBOX_NO_CALL;
    bool known = name != NULL;
    free(name);
    if (listed || (!known && !native)) continue;
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
    if (rc) return rc;
  }
  return 0;
}

static int set_attributes(scmp_filter_ctx ctx) {
  int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (!rc) rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
  /* Kernels before 5.16 slow a filtered process down against side channels between parts of one process; there are no
     parts that distrust each other here. */
  (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
  (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a chain */
  return rc;
}

static int fill(scmp_filter_ctx ctx, bool native, bool strict) {
  int rc = set_attributes(ctx);
  for (size_t i = 0; !rc && i < AQ_COUNT(allowed); i++) rc = add_names(ctx, SCMP_ACT_ALLOW, allowed[i], strict);
  for (size_t i = 0; !rc && i < AQ_COUNT(limited); i++) rc = add_limited(ctx, &limited[i]);
  for (size_t i = 0; !rc && i < AQ_COUNT(killed); i++) rc = add_names(ctx, SCMP_ACT_KILL_PROCESS, killed[i], strict);
  return rc ? rc : add_young(ctx, native);
}

aq_status aq_sandbox_export(int fd, uint32_t arch) {
  scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  bool native = arch == 0 || arch == seccomp_arch_native();
  int rc = ctx ? 0 : -ENOMEM;
  if (!rc && !native) rc = seccomp_arch_add(ctx, arch);
  if (!rc && !native) rc = seccomp_arch_remove(ctx, seccomp_arch_native());
  if (!rc) rc = fill(ctx, native, true);
  if (!rc) rc = seccomp_export_bpf(ctx, fd);
  seccomp_release(ctx);
  return rc ? AQ_E_IO : AQ_OK;
}

static aq_status load(scmp_filter_ctx ctx, int rc, aq_err *err) {
  if (!rc) rc = seccomp_load(ctx);
  seccomp_release(ctx);
  return rc ? aq_fail(err, AQ_E_UNSUPPORTED, "%s", strerror(-rc)) : AQ_OK;
}

aq_status aq_sandbox_filter(aq_err *err) {
  scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (!ctx) return aq_fail(err, AQ_E_UNSUPPORTED, "out of memory");
  return load(ctx, fill(ctx, true, false), err);
}

/* ---- what must be there before ---- */

/* glibc loads these when they are first needed; under the filter no code can be mapped. "files" and "dns" are in it. */
static void load_name_service(const char *name, size_t len) {
  char file[80];
  if (len == 0 || len > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") < len) return;
  snprintf(file, sizeof file, "libnss_%.*s.so.2", (int)len, name);
  if (strcmp(file, "libnss_files.so.2") != 0 && strcmp(file, "libnss_dns.so.2") != 0) (void)dlopen(file, RTLD_NOW);
}

static void load_late_libraries(void) {
  char line[512];
  FILE *f = fopen("/etc/nsswitch.conf", "re");
  while (f && fgets(line, sizeof line, f)) {
    char *at = line + strspn(line, " \t");
    if (strncmp(at, "hosts:", 6) != 0) continue;
    at[strcspn(at, "#\n")] = 0;
    for (at += 6; *at;) {
      at += strspn(at, " \t");
      size_t len = *at == '[' ? strcspn(at, "]") : strcspn(at, " \t[]");
      load_name_service(at, len);
      at += len + (at[len] == ']');
    }
  }
  if (f) fclose(f);
  (void)dlopen("libgcc_s.so.1", RTLD_NOW); /* pthread_exit and pthread_cancel abort without it */
}

/* ---- use ---- */

void aq_process_harden(void) {
  const struct rlimit none = {0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);
  (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void aq_sandbox_begin(bool wanted) {
  if (!wanted) return;
  scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
  if (!ctx) return;
  (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
  int nr = seccomp_syscall_resolve_name("io_uring_setup");
  (void)load(ctx, nr < 0 ? -ENOSYS : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0), NULL);
}

void aq_sandbox_enter(bool wanted) {
  if (!wanted || AQ_SANITIZED) {
    AQ_LOG(AQ_LOG_INFO, "sandbox", AQ_STR("note", wanted ? "a sanitizer needs more system calls" : "--no-sandbox"),
           AQ_STR("result", "off"));
    return;
  }
  aq_err err = {0};
  load_late_libraries();
  aq_status st = aq_sandbox_filter(&err);
  if (st == AQ_OK) {
    AQ_LOG(AQ_LOG_INFO, "sandbox", AQ_STR("result", "ok"));
    return;
  }
  AQ_LOG(AQ_LOG_WARN, "sandbox", AQ_STR("err", err.text),
         AQ_STR("note",
                "running without system-call limits: they need a kernel with CONFIG_SECCOMP_FILTER and a container "
                "profile that allows seccomp(2); --no-sandbox says that this is known"),
         AQ_STR("result", "error"));
}
