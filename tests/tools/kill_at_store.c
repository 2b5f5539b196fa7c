/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * kill_at_store: runs lbd and kills it (SIGKILL) just before it writes into its
 * mapped maps for the Nth time.
 *
 *   kill_at_store N COMMAND...     N = 0: never, only count
 *
 * It counts from the signal SIGUSR1 on.  A store is an instruction that writes; a ring's many stores into the arena,
 * up to the next store elsewhere, are one.  When the command has ended, stderr
 * gets "kill_at_store: killed at store N, in MAP" (exit status 0) or
 * "kill_at_store: ended after N stores" (3).
 *
 * How: lbd is traced.  Where it has mapped a BPF map writable, a call of
 * mprotect(2) is slipped in that takes the right to write away.  Each store
 * then faults; it is let through alone, by a single step.  That takes knowledge
 * of registers: x86-64 only, elsewhere the exit status is 77.
 */
#include <stdio.h>

#ifdef __x86_64__

#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGIONS_MAX 16
#define SYSCALL_STOP (SIGTRAP | 0x80)
#define SYSCALL_BYTES 2 /* of the instruction */

struct region {
	uint64_t start, bytes;
	char name[BPF_OBJ_NAME_LEN];
	bool open; /* may be written just now */
};

static pid_t pid;
static struct region regions[REGIONS_MAX];
static size_t nregions;
static uint64_t syscall_at; /* of a syscall instruction in the tracee */
static volatile sig_atomic_t counting;

static void die(const char *what)
{
	fprintf(stderr, "kill_at_store: %s: %s\n", what, strerror(errno));
	if (pid)
		kill(pid, SIGKILL);
	exit(1);
}

static void on_signal(int signal)
{
	(void)signal;
	counting = 1;
}

static void trace(int request, void *data, const char *what)
{
	if (ptrace(request, pid, NULL, data))
		die(what);
}

/* ---- stops ------------------------------------------------------------------- */

/* Go on in a way until the tracee stops; returns the signal, -1 at its end. */
static int stop_next(int request, int signal)
{
	int status;

	trace(request, (void *)(long)signal, "can't go on");
	if (waitpid(pid, &status, 0) < 0)
		die("waitpid");
	return WIFSTOPPED(status) ? WSTOPSIG(status) : -1;
}

static void stop_expect(int request, int wanted)
{
	int got = stop_next(request, 0);

	if (got != wanted) {
		errno = 0;
		fprintf(stderr, "kill_at_store: stopped by %d, not by %d\n", got, wanted);
		die("unexpected stop");
	}
}

/* Have the tracee call mprotect(2), wherever it is stopped. */
static void region_protect(struct region *region, bool open)
{
	struct user_regs_struct regs, call;

	trace(PTRACE_GETREGS, &regs, "registers");
	call = regs;
	call.rip = syscall_at;
	call.orig_rax = -1;
	call.rax = SYS_mprotect;
	call.rdi = region->start;
	call.rsi = region->bytes;
	call.rdx = open ? PROT_READ | PROT_WRITE : PROT_READ;
	trace(PTRACE_SETREGS, &call, "registers");
	stop_expect(PTRACE_SYSCALL, SYSCALL_STOP);
	stop_expect(PTRACE_SYSCALL, SYSCALL_STOP);
	trace(PTRACE_GETREGS, &call, "registers");
	if (call.rax) {
		errno = -(long)call.rax;
		die("mprotect");
	}
	trace(PTRACE_SETREGS, &regs, "registers");
	region->open = open;
}

/* ---- what is mapped ------------------------------------------------------------ */

/* Is the tracee's file a BPF map, and which? */
static bool map_name(int fd, char ret[BPF_OBJ_NAME_LEN])
{
	struct bpf_map_info info = {0};
	union bpf_attr attr;
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int own = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	long err;

	if (pidfd >= 0)
		close(pidfd);
	if (own < 0)
		die("can't get a file of the command");
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = own;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	err = syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr));
	close(own);
	memcpy(ret, info.name, BPF_OBJ_NAME_LEN);
	return !err;
}

/* mmap() has returned. */
static void mapped(uint64_t start, const uint64_t args[6])
{
	struct region region = {.start = start, .bytes = args[1], .open = true};

	if (!(args[2] & PROT_WRITE) || !(args[3] & MAP_SHARED) || (int)args[4] < 0 ||
	    !map_name(args[4], region.name))
		return;
	if (nregions == REGIONS_MAX) {
		errno = ENOSPC;
		die("too many maps");
	}
	regions[nregions] = region;
	region_protect(&regions[nregions++], false);
}

static void syscall_stopped(void)
{
	static struct __ptrace_syscall_info call; /* that is under way */
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		die("system call");
	syscall_at = info.instruction_pointer - SYSCALL_BYTES;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		call = info;
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT && call.entry.nr == SYS_mmap &&
		 !info.exit.is_error)
		mapped(info.exit.rval, (const uint64_t *)call.entry.args);
}

/* ---- stores ---------------------------------------------------------------------- */

static struct region *region_find(uint64_t addr)
{
	for (size_t i = 0; i < nregions; i++)
		if (addr - regions[i].start < regions[i].bytes)
			return &regions[i];
	return NULL;
}

/* Let the store that has just faulted happen. */
static void store_pass(struct region *region)
{
	for (size_t i = 0; i < nregions; i++)
		if (regions[i].open)
			region_protect(&regions[i], false);
	region_protect(region, true);
	if (!strcmp(region->name, "arena"))
		return;
	stop_expect(PTRACE_SINGLESTEP, SIGTRAP);
	region_protect(region, false);
}

/* The region that a fault was a store to; NULL = it's another matter. */
static struct region *store_find(void)
{
	siginfo_t fault;

	trace(PTRACE_GETSIGINFO, &fault, "signal");
	return fault.si_code == SEGV_ACCERR ? region_find((uintptr_t)fault.si_addr) : NULL;
}

static int run(unsigned long wanted)
{
	unsigned long stores = 0;
	struct region *region;
	int signal = 0;

	for (;;) {
		signal = stop_next(PTRACE_SYSCALL, signal);
		region = signal == SIGSEGV ? store_find() : NULL;
		if (signal < 0)
			break;
		if (signal == SYSCALL_STOP) {
			syscall_stopped();
			signal = 0;
		} else if (region) {
			stores += counting;
			if (counting && stores == wanted) {
				kill(pid, SIGKILL);
				waitpid(pid, NULL, 0);
				fprintf(stderr, "kill_at_store: killed at store %lu, in %s\n",
					stores, region->name);
				return 0;
			}
			store_pass(region);
			signal = 0;
		} else if (signal == SIGTRAP) {
			signal = 0; /* execve() */
		}
	}
	fprintf(stderr, "kill_at_store: ended after %lu stores\n", stores);
	return 3;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	int status;

	if (argc < 3) {
		fputs("usage: kill_at_store N COMMAND...\n", stderr);
		return 2;
	}
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		die("can't start the command");
	sigaction(SIGUSR1, &action, NULL);
	trace(PTRACE_SETOPTIONS, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), "options");
	return run(strtoul(argv[1], NULL, 10));
}

#else

int main(void)
{
	fputs("kill_at_store: x86-64 only\n", stderr);
	return 77;
}

#endif
