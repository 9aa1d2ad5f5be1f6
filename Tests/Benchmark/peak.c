// Runs a program and prints the most memory that it had, in KiB. The kernel counts for a process what its parent had when
// it forked, so the parent has to be a small one.
// Usage: peak PROGRAM [ARGUMENT…]
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 2) return 64;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        if (dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(126);
        execvp(arguments[1], arguments + 1);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0) return 1;
    printf("%ld\n", usage.ru_maxrss);
    return 0;
}
