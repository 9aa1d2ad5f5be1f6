#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/vm_sockets.h>
#include <time.h>
#include <unistd.h>

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, __u64)
#endif

static struct flock lock_for(enum vmdev_lock_kind kind, int64_t start, int64_t length) {
    // l_pid has to be 0 for an OFD lock; a length of 0 means to the end of the file.
    struct flock lock = {.l_whence = SEEK_SET, .l_start = start, .l_len = length};
    lock.l_type = kind == VMDEV_LOCK_WRITE ? F_WRLCK : kind == VMDEV_LOCK_READ ? F_RDLCK : F_UNLCK;
    return lock;
}

int vmdev_lock_set(int fd, enum vmdev_lock_kind kind) {
    struct flock lock = lock_for(kind, 0, 0);
    int result;
    do result = fcntl(fd, F_OFD_SETLK, &lock);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int vmdev_lock_probe_range(int fd, enum vmdev_lock_kind kind, int64_t start, int64_t length) {
    struct flock lock = lock_for(kind, start, length);
    int result;
    do result = fcntl(fd, F_OFD_GETLK, &lock);
    while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    return lock.l_type == F_WRLCK ? VMDEV_LOCK_WRITE : lock.l_type == F_RDLCK ? VMDEV_LOCK_READ : VMDEV_LOCK_NONE;
}

int vmdev_lock_probe(int fd, enum vmdev_lock_kind kind) { return vmdev_lock_probe_range(fd, kind, 0, 0); }

int64_t vmdev_send_descriptor(int socket, const void *bytes, size_t count, int descriptor) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr alignment;
    } control;
    memset(&control, 0, sizeof control);
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int vmdev_peer_pid(int socket) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? -errno : peer.pid;
}

int vmdev_pidfd_open(int pid) {
    long result = syscall(SYS_pidfd_open, pid, 0);
    return result < 0 ? -errno : (int)result;
}

int vmdev_pidfd_kill(int pidfd) { return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 ? -errno : 0; }

static int kernel_flags(int flags) {
    int result = O_CLOEXEC;
    result |= flags & VMDEV_OPEN_READ_WRITE ? O_RDWR : flags & VMDEV_OPEN_WRITE ? O_WRONLY : O_RDONLY;
    if (flags & VMDEV_OPEN_CREATE) result |= O_CREAT;
    if (flags & VMDEV_OPEN_EXCLUSIVE) result |= O_EXCL;
    if (flags & VMDEV_OPEN_NO_FOLLOW) result |= O_NOFOLLOW;
    if (flags & VMDEV_OPEN_DIRECTORY) result |= O_DIRECTORY;
    if (flags & VMDEV_OPEN_NON_BLOCKING) result |= O_NONBLOCK;
    if (flags & VMDEV_OPEN_PATH) result |= O_PATH;
    return result;
}

int vmdev_openat(int directory, const char *path, int flags, unsigned mode) {
    int fd;
    do fd = openat(directory, path, kernel_flags(flags), (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int vmdev_open(const char *path, int flags, unsigned mode) { return vmdev_openat(AT_FDCWD, path, flags, mode); }

int vmdev_block_size(int fd, uint64_t *bytes) { return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0; }

int vmdev_block_sequence(int fd, uint64_t *sequence) { return ioctl(fd, BLKGETDISKSEQ, sequence) < 0 ? -errno : 0; }

int vmdev_block_read_only(int fd, int *is_read_only) { return ioctl(fd, BLKROGET, is_read_only) < 0 ? -errno : 0; }

int vmdev_node_number(int fd, uint32_t *major_number, uint32_t *minor_number, int *is_block) {
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    *major_number = major(status.st_rdev);
    *minor_number = minor(status.st_rdev);
    *is_block = S_ISBLK(status.st_mode);
    return 0;
}

struct vmdev_calendar vmdev_local_time(int64_t seconds) {
    time_t moment = (time_t)seconds;
    struct tm time = {0};
    localtime_r(&moment, &time);
    return (struct vmdev_calendar){
        time.tm_year + 1900, time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec};
}

int64_t vmdev_moment(struct vmdev_calendar calendar) {
    struct tm time = {.tm_year = calendar.year - 1900, .tm_mon = calendar.month - 1, .tm_mday = calendar.day,
        .tm_hour = calendar.hour, .tm_min = calendar.minute, .tm_sec = calendar.second, .tm_isdst = -1};
    return mktime(&time);
}

// As fork(2), but no signal tells of its end, and only who asks for it (__WALL) can wait for it: one that is left behind is
// nobody else's child to find. The kernel undoes that at execve(2). libc does not know of it: what runs in the child are system
// calls alone, none of libc's own (nor a sanitizer's in place of these, which may wait for a thread that the child has not).
__attribute__((no_sanitize("address", "thread")))
static pid_t fork_apart(void) { return (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL); }

__attribute__((no_sanitize("address", "thread")))
static void end_apart(int status) {
    for (;;) syscall(SYS_exit_group, status);
}

__attribute__((no_sanitize("address", "thread")))
int vmdev_start_writer(const char *path, const void *bytes, size_t count, int *pid) {
    pid_t child = fork_apart();
    if (child < 0) return -errno;
    if (child > 0) {
        *pid = child;
        return 0;
    }
    syscall(SYS_close_range, 0U, ~0U, 0U);
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) end_apart(errno);
    long written = syscall(SYS_write, fd, bytes, count);
    end_apart(written < 0 ? errno : (size_t)written == count ? 0 : EIO);
    return 0;
}

__attribute__((no_sanitize("address", "thread")))
int vmdev_start_reader(const char *path, int output, int *pid) {
    pid_t child = fork_apart();
    if (child < 0) return -errno;
    if (child > 0) {
        *pid = child;
        return 0;
    }
    if (syscall(SYS_dup3, output, 0, 0) < 0 && errno != EINVAL) end_apart(errno);
    syscall(SYS_close_range, 1U, ~0U, 0U);
    char bytes[4096];
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    long count = fd < 0 ? -1 : syscall(SYS_read, fd, bytes, sizeof bytes);
    if (count < 0 || syscall(SYS_write, 0, bytes, count) < 0) end_apart(errno);
    end_apart(0);
    return 0;
}

int vmdev_start_program(const char *program, const char *argument, int *pid) {
    char *const arguments[] = {(char *)program, (char *)argument, NULL};
    char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) return -code;
    for (int fd = 0; fd < 3 && code == 0; fd++)
        code = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    pid_t child = 0;
    if (code == 0) code = posix_spawn(&child, program, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    *pid = child;
    return -code;
}

static char **vmdev_texts(const char *bytes, size_t count) {
    char **texts = calloc(count + 1, sizeof *texts);
    for (size_t index = 0; texts != NULL && index < count; index++) {
        texts[index] = (char *)bytes;
        bytes += strlen(bytes) + 1;
    }
    return texts;
}

int vmdev_start_command(const char *program, const char *arguments, size_t count, const char *environment, size_t variables,
    int input, int output, int error, int passed, int *pid) {
    char **argv = vmdev_texts(arguments, count), **envp = vmdev_texts(environment, variables);
    posix_spawn_file_actions_t actions;
    int code = argv == NULL || envp == NULL ? ENOMEM : posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        int ends[] = {input, output, error, passed};
        int number = passed < 0 ? 3 : 4;
        for (int fd = 0; fd < number && code == 0; fd++) code = posix_spawn_file_actions_adddup2(&actions, ends[fd], fd);
        pid_t child = 0;
        if (code == 0) code = posix_spawn(&child, program, &actions, NULL, argv, envp);
        posix_spawn_file_actions_destroy(&actions);
        *pid = child;
    }
    free(argv);
    free(envp);
    return -code;
}

int vmdev_memory_file(const char *name, size_t limit) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -errno;
    if (limit > 0 && (ftruncate(fd, (off_t)limit) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0)) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int vmdev_start_server(char *const *arguments, int socket, int device, int *pid) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        // First out of the way of the numbers that they get.
        int high_socket = fcntl(socket, F_DUPFD, 10);
        int high_device = fcntl(device, F_DUPFD, 10);
        int null = open("/dev/null", O_RDWR);
        if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) _exit(126);
        if (high_socket < 0 || dup2(high_socket, 3) < 0) _exit(126);
        if (high_device < 0 || dup2(high_device, 4) < 0) _exit(126);
        close_range(5, ~0U, 0);
        clearenv();
        setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
        char number[16];
        snprintf(number, sizeof number, "%d", (int)getpid());
        setenv("LISTEN_PID", number, 1);
        setenv("LISTEN_FDS", "1", 1);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    *pid = child;
    return 0;
}

// Connects without waiting in connect(2), and waits in poll(2) as long as allowed.
static int connected(int fd, const struct sockaddr *address, socklen_t size, int milliseconds) {
    int code = connect(fd, address, size) == 0 ? 0 : errno;
    if (code == EINPROGRESS || code == EINTR) {
        struct pollfd entry = {.fd = fd, .events = POLLOUT};
        int ready;
        do ready = poll(&entry, 1, milliseconds);
        while (ready < 0 && errno == EINTR);
        socklen_t length = sizeof code;
        if (ready == 0) code = ETIMEDOUT;
        else if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0) code = errno;
    }
    if (code == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0) code = errno;
    if (code == 0) return fd;
    close(fd);
    return -code;
}

int vmdev_connect_vsock(uint32_t cid, uint32_t port, int milliseconds) {
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    return connected(fd, (struct sockaddr *)&address, sizeof address, milliseconds);
}

int vmdev_connect_tcp(const char *host, uint16_t port, int milliseconds) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) != 0 || found == NULL) return -EINVAL;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result = fd < 0 ? -errno : connected(fd, found->ai_addr, found->ai_addrlen, milliseconds);
    freeaddrinfo(found);
    return result;
}

union any_address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_vm vm;
    struct sockaddr_un un;
};

static int listening(const union any_address *address, socklen_t size) {
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    int code = bind(fd, &address->any, size) < 0 || listen(fd, 4) < 0 ? errno : 0;
    if (code == 0) return fd;
    close(fd);
    return -code;
}

int vmdev_listen_beside(int given, unsigned channel) {
    union any_address address;
    memset(&address, 0, sizeof address);
    socklen_t size = sizeof address;
    if (getsockname(given, &address.any, &size) < 0) return -errno;
    switch (address.any.sa_family) {
    case AF_INET: address.in.sin_port = htons(ntohs(address.in.sin_port) + channel); break;
    case AF_INET6: address.in6.sin6_port = htons(ntohs(address.in6.sin6_port) + channel); break;
    case AF_VSOCK: address.vm.svm_port += channel; break;
    case AF_UNIX: {
        address.un.sun_path[sizeof address.un.sun_path - 1] = 0;
        size_t length = strlen(address.un.sun_path);
        // A socket without a path, such as one of a pair, has no place beside it.
        if (address.un.sun_path[0] != '/') return -EAFNOSUPPORT;
        int added = snprintf(
            address.un.sun_path + length, sizeof address.un.sun_path - length, ".%u", channel);
        if (added < 0 || (size_t)added >= sizeof address.un.sun_path - length) return -ENAMETOOLONG;
        size = sizeof address.un;
        break;
    }
    default: return -EAFNOSUPPORT;
    }
    int result = listening(&address, size);
    if (result != -EADDRINUSE || address.any.sa_family != AF_UNIX) return result;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return -errno;
    int refused = connect(probe, &address.any, size) < 0 && errno == ECONNREFUSED;
    close(probe);
    if (!refused || unlink(address.un.sun_path) < 0) return result;
    return listening(&address, size);
}

int vmdev_unlink_listener(int listener) {
    union any_address address;
    memset(&address, 0, sizeof address);
    socklen_t size = sizeof address;
    if (getsockname(listener, &address.any, &size) < 0) return -errno;
    if (address.any.sa_family != AF_UNIX) return 0;
    return unlink(address.un.sun_path) < 0 ? -errno : 0;
}

int vmdev_accept_waiting(int listener) {
    // Who has gone again since poll(2) must not make us wait for the next.
    if (fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) < 0) return -errno;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int vmdev_peer(int fd, uint32_t *cid, char *host, size_t size) {
    union any_address address;
    memset(&address, 0, sizeof address);
    socklen_t length = sizeof address;
    if (getpeername(fd, &address.any, &length) < 0) return -errno;
    if (address.any.sa_family == AF_VSOCK) *cid = address.vm.svm_cid;
    if (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6) {
        // An IPv4 address in IPv6's clothes is written as what it is.
        if (address.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address.in6.sin6_addr)) {
            struct in_addr inner;
            memcpy(&inner, address.in6.sin6_addr.s6_addr + 12, sizeof inner);
            if (!inet_ntop(AF_INET, &inner, host, size)) return -errno;
        } else if (getnameinfo(&address.any, length, host, size, NULL, 0, NI_NUMERICHOST) != 0) {
            return -EINVAL;
        }
    }
    return address.any.sa_family;
}

int vmdev_each_second(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) return -errno;
    struct itimerspec each = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
    if (timerfd_settime(fd, 0, &each, NULL) == 0) return fd;
    int code = errno;
    close(fd);
    return -code;
}

int vmdev_keep_alive(int fd) {
    int on = 1, idle = 20, interval = 10, count = 4, limit = 60000;
    if (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) < 0)
        return errno == EOPNOTSUPP || errno == ENOPROTOOPT || errno == ENOTSOCK ? 0 : -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 ? -errno : 0;
}

int vmdev_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

int vmdev_socket_pair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

int vmdev_start_piped(const char *program, const void *bytes, size_t count, int input, int output, int *pid) {
    const char *arguments = bytes;
    char *list[17] = {(char *)program};
    size_t used = 1;
    for (size_t at = 0; at < count; at += strlen(arguments + at) + 1) {
        if (used == 16) return -E2BIG;
        list[used++] = (char *)arguments + at;
    }
    char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) return -code;
    code = posix_spawn_file_actions_adddup2(&actions, input, 0);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (code == 0) code = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_RDWR, 0);
    pid_t child = 0;
    if (code == 0) code = posix_spawn(&child, program, &actions, NULL, list, environment);
    posix_spawn_file_actions_destroy(&actions);
    *pid = child;
    return -code;
}

int vmdev_reap(int pid, int *status) {
    int word = 0;
    pid_t result;
    do result = waitpid(pid, &word, __WALL);
    while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    *status = WIFEXITED(word) ? WEXITSTATUS(word) : 128 + WTERMSIG(word);
    return 0;
}
