// Runs a program and has one of its system calls go wrong: at call number AT, counted from 1 over all its threads and
// children, it is killed before the kernel takes the call ("kill"), or the call is not made and answers ERROR ("error").
// "count" lets it run, and so do a number that is not reached and an error at a call that can have none. Into LOG go the
// calls that were made, a line each: "kill" when it can only be killed there, else "error". The exit status is the program's; 128 and the signal's number when a signal ended it; 69 when it cannot be
// traced.
// Usage: fault LOG count|kill|error AT ERROR PROGRAM ARGUMENT…
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

static void fail(const char *what) {
    perror(what);
    exit(69);
}

#ifdef __x86_64__
static void skip_call(pid_t thread) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, thread, 0, &registers)) fail("getregs");
    registers.orig_rax = (unsigned long long)-1;
    if (ptrace(PTRACE_SETREGS, thread, 0, &registers)) fail("setregs");
}

static void answer(pid_t thread, int error) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, thread, 0, &registers)) fail("getregs");
    registers.rax = (unsigned long long)-error;
    if (ptrace(PTRACE_SETREGS, thread, 0, &registers)) fail("setregs");
}
#else
static void skip_call(pid_t thread) { (void)thread; fprintf(stderr, "fault: x86-64 only\n"); exit(69); }
static void answer(pid_t thread, int error) { (void)thread; (void)error; }
#endif

// No disk and no signal makes these fail: they only concern memory, threads and the end of the process. From one run to the
// next the calls of a program shift, so that this is decided when the call is made. malloc(3) does not survive an error.
static int has_errors(unsigned long long call) {
    static const unsigned short internal[] = {
        SYS_mmap, SYS_mprotect, SYS_munmap, SYS_brk, SYS_mremap, SYS_madvise, SYS_rt_sigaction, SYS_rt_sigprocmask,
        SYS_rt_sigreturn, SYS_sigaltstack, SYS_getpid, SYS_gettid, SYS_futex, SYS_set_tid_address, SYS_set_robust_list,
        SYS_rseq, SYS_prlimit64, SYS_getrandom, SYS_exit, SYS_exit_group,
#ifdef SYS_arch_prctl
        SYS_arch_prctl,
#endif
    };
    for (size_t index = 0; index < sizeof internal / sizeof *internal; index++)
        if (internal[index] == call) return 0;
    return 1;
}

int main(int count, char **arguments) {
    if (count < 6) return 64;
    FILE *log = fopen(arguments[1], "we");
    if (!log) fail(arguments[1]);
    const char *mode = arguments[2];
    long at = atol(arguments[3]);
    int error = atoi(arguments[4]);

    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) fail("traceme");
        raise(SIGSTOP);
        execvp(arguments[5], arguments + 5);
        fail(arguments[5]);
    }
    int status;
    if (waitpid(child, &status, __WALL) < 0 || !WIFSTOPPED(status)) fail("wait");
    long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
    if (ptrace(PTRACE_SETOPTIONS, child, 0, options)) fail("setoptions");
    if (ptrace(PTRACE_SYSCALL, child, 0, 0)) fail("syscall");

    long calls = 0;
    int started = 0;
    pid_t skipped = 0;
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) fail("wait");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != child) continue;
            fclose(log);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int stop = WSTOPSIG(status), deliver = 0;
        if (stop == (SIGTRAP | 0x80)) {
            struct ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) continue;
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY && started) {
                calls++;
                fprintf(log, has_errors(info.entry.nr) ? "error\n" : "kill\n");
                if (calls == at && !strcmp(mode, "kill")) {
                    kill(child, SIGKILL);
                    continue;
                }
                if (calls == at && !strcmp(mode, "error") && has_errors(info.entry.nr)) {
                    skip_call(thread);
                    skipped = thread;
                }
            } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread == skipped) {
                answer(thread, error);
                skipped = 0;
            }
        } else if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8)) {
            started = 1;
        } else if (status >> 16 == 0 && stop != SIGSTOP && stop != SIGTRAP) {
            deliver = stop;
        }
        ptrace(PTRACE_SYSCALL, thread, 0, deliver);
    }
}
