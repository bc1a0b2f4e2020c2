"""Goal: what containers, gVisor and old kernels refuse is done without: the cluster does its duties, the limits stay in place where they can.
Method: a test network under a filter that refuses system calls, with "not there" and with "not permitted"; gVisor's refusal to tell of a clock
that is set besides; then what nothing works without: a line and a status, no assertion."""
import ctypes, errno, os, signal, subprocess
from common import *

# Each has an older way, or is a service that the programs can be without.
WITHOUT = ("io_uring_setup pidfd_open getrandom memfd_create landlock_create_ruleset mlock mlock2 madvise membarrier rseq statx close_range "
           "epoll_pwait2 faccessat2 openat2 copy_file_range fallocate sched_getaffinity inotify_init1 getcpu timerfd_create renameat2 "
           "get_mempolicy process_madvise sendmmsg").split()
ALLOW, REFUSE, EQUAL_MASKED, CANCEL_ON_SET = 0x7FFF0000, 0x00050000, 7, 2

class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64)]

def library():
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError as e:
        skip(e)
    lib.seccomp_init.restype = ctypes.c_void_p
    return lib

def refusing(lib, names, why, untold=False):
    """For a child before it starts the program."""
    ctx = ctypes.c_void_p(lib.seccomp_init(ALLOW))
    for name in names:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and lib.seccomp_rule_add_array(ctx, REFUSE | why, number, 0, None) != 0:
            raise OSError(f"no rule for {name}")
    flag = (Compare * 1)(Compare(1, EQUAL_MASKED, CANCEL_ON_SET, CANCEL_ON_SET))
    settime = lib.seccomp_syscall_resolve_name(b"timerfd_settime")
    if untold and lib.seccomp_rule_add_array(ctx, REFUSE | errno.EINVAL, settime, 1, flag) != 0:
        raise OSError("no rule for timerfd_settime")
    if lib.seccomp_load(ctx) != 0:
        raise OSError("no filter")

def testnet(lib, timeout, args, *refused):
    """Its output and status; a network that does not end is ended with all its processes."""
    p = subprocess.Popen([AEQUA, "testnet", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         start_new_session=True, preexec_fn=lambda: refusing(lib, *refused))
    try:
        return p.communicate(timeout=timeout)[0], p.returncode
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        check(False, f"it did not end in {timeout} s: {p.communicate()[0][-800:]}")

def told(d, word):
    """Lines of node 0 with that word."""
    return [l for l in open(f"{d}/node0.log", errors="replace") if f'"{word}"' in l]

lib = library()
cases = [("not there", WITHOUT, errno.ENOSYS), ("not permitted", WITHOUT, errno.EPERM), ("not told", [], 0, True)]
for title, *refused in cases:
    with workdir("old-kernel") as d:
        try:
            said, status = testnet(lib, 150, ["--slots=4", "--slot-time=2s", f"--dir={d}"], *refused)
        except subprocess.SubprocessError as e:
            skip(f"no filter here: {e}")
        check(status == 0, f"{title}: status {status}: {said[-800:]}")
        check(len(told(d, "not_told")) == 1, f"{title}: {len(told(d, 'not_told'))} lines say that the clock is not told")
        print(f"{title}: every duty done")
for name in ("eventfd2", "epoll_create1"):
    said, status = testnet(lib, 30, ["--slots=1"], [name], errno.EPERM)
    check(status == 1 and "an event loop" in said, f"without {name}: {status} {said[-300:]}")
print("without an event loop: a line, status 1")
with workdir("old-kernel") as d:
    said, status = testnet(lib, 120, ["--slots=1", "--start-timeout=8s", f"--dir={d}"], ["accept4"], errno.EPERM)
    check(status == 1 and "does not answer" in said and "did not stop in time" not in said, f"without accept4: {status} {said[-600:]}")
    check(0 < len(told(d, "accept")) < 9, f"without accept4: {len(told(d, 'accept'))} lines say so")
print("without accept4: a line, and an orderly end")
