/* adapter/sandbox.h - limits a process to the system calls that a running node makes, so that a fault in it is worth
   little: no program is started, nothing becomes executable, nobody else's memory or identity is reached (seccomp(2)
   through libseccomp; docs/decisions/005-seccomp.md). All threads, those there are and those to come.
   It does not limit which files are opened or which hosts are called: that is for the service manager or the container
   (deploy/systemd/aequa.service), whose lists agree with this one.
   Order: harden, begin, make the loop, open everything, enter. All on the main thread. */
#ifndef AQ_ADAPTER_SANDBOX_H
#define AQ_ADAPTER_SANDBOX_H

#include "base/bytes.h"

/* What a system call on the list meets. */
typedef enum {
  AQ_SANDBOX_ALLOW,   /* perhaps only with certain arguments, else REFUSE */
  AQ_SANDBOX_KILL,    /* the process ends with SIGSYS: only an intruder wants it */
  AQ_SANDBOX_NO_CALL, /* ENOSYS: younger than Linux 5.1 and on no list; a library takes the older way */
  AQ_SANDBOX_REFUSE,  /* EPERM: all others */
} aq_sandbox_verdict;

/* For every command, first: no core files (they would hold keys), no reading by other processes of the same user, no
   new privileges by starting programs; the last two with children unless they are given up. */
void aq_process_harden(void);

/* Before aq_loop_new: from here on libuv finds no io_uring, whose operations no filter sees. libuv from 1.50 on makes
   a ring with each loop and cannot be told otherwise. Failures are told by aq_sandbox_enter. */
void aq_sandbox_begin(bool wanted);

/* When the start is over: sockets listen, the store is open. Loads what name resolution and thread ends would load
   later, then sets the filter. One log line `sandbox`: result ok, off (not wanted, or a sanitizer that needs more), or
   error with the mend; the process goes on in any case. */
void aq_sandbox_enter(bool wanted);

/* The filter itself, in sanitizer builds too. AQ_E_UNSUPPORTED with why: the kernel or the container has none. */
AQ_NODISCARD aq_status aq_sandbox_filter(aq_err *err);

/* The filter as a BPF program for an architecture (libseccomp's token, 0: this one), written to a file descriptor;
   fails on names that libseccomp does not know. For tests. */
AQ_NODISCARD aq_status aq_sandbox_export(int fd, uint32_t arch);

/* What the list says about a call of this architecture, whatever its arguments; for tests. */
aq_sandbox_verdict aq_sandbox_listed(const char *name);

#endif
