// What Linux offers and Swift's Glibc module does not show: GNU-only constants, variadic calls, macros.
// Every function returns 0 (or a count) on success and -errno on failure, so that no caller reads errno late.
#ifndef VMDEV_CLINUX_H
#define VMDEV_CLINUX_H

#include <stddef.h>
#include <stdint.h>

enum vmdev_lock_kind { VMDEV_LOCK_NONE = 0, VMDEV_LOCK_READ = 1, VMDEV_LOCK_WRITE = 2 };

/// Takes, changes or drops an open-file-description lock on the whole file, without waiting (fcntl(2), F_OFD_SETLK).
int vmdev_lock_set(int fd, enum vmdev_lock_kind kind);

/// Tells which lock would stand in the way of one of `kind`: VMDEV_LOCK_NONE when it could be taken now.
int vmdev_lock_probe(int fd, enum vmdev_lock_kind kind);

/// The same question for a range of bytes: QEMU locks bytes 100 and up of an image (file-posix.c).
int vmdev_lock_probe_range(int fd, enum vmdev_lock_kind kind, int64_t start, int64_t length);

/// Sends bytes and one descriptor (SCM_RIGHTS) over a UNIX stream socket; answers the count of bytes sent.
int64_t vmdev_send_descriptor(int socket, const void *bytes, size_t count, int descriptor);

/// Process that serves the other end of a connected UNIX socket (unix(7), SO_PEERCRED); 0 from another PID namespace.
int vmdev_peer_pid(int socket);

/// A descriptor that becomes readable when the process ends (pidfd_open(2)).
int vmdev_pidfd_open(int pid);

/// Ends that very process with SIGKILL (pidfd_send_signal(2)).
int vmdev_pidfd_kill(int pidfd);

/// Starts a process that writes to the file `path` and ends with errno as its status. It has no descriptor of ours open,
/// so that nothing is held by one that hangs in the kernel.
int vmdev_start_writer(const char *path, const void *bytes, size_t count, int *pid);

/// Starts a process that reads the first 4096 bytes of the file `path`, writes them to the pipe `output`, and ends with
/// errno as its status; nothing else of ours is open in it.
int vmdev_start_reader(const char *path, int output, int *pid);

/// Starts a program with one argument; what it says goes nowhere.
int vmdev_start_program(const char *program, const char *argument, int *pid);

/// Starts a program with `count` arguments, one after the other in `arguments`, each with a zero byte at its end (the first
/// is the program's name), and so with the environment. It has these three descriptors, `passed` as its number 3 unless that
/// is negative, and no other of ours.
int vmdev_start_command(const char *program, const char *arguments, size_t count, const char *environment, size_t variables,
    int input, int output, int error, int passed, int *pid);

/// A file in memory that cannot grow beyond `limit` bytes (memfd_create(2)); 0 is no limit.
int vmdev_memory_file(const char *name, size_t limit);

/// Starts a program that serves one device: `arguments` end with NULL and begin with its name; `socket` becomes its
/// descriptor 3, passed as systemd passes one (sd_listen_fds(3)), and `device` its descriptor 4. It says what it has to say
/// on our standard error, and is killed when we die.
int vmdev_start_server(char *const *arguments, int socket, int device, int *pid);

/// Connects to a port of a VM (vsock(7)), or of an IP address; answers the descriptor. -ETIMEDOUT when the time has passed.
int vmdev_connect_vsock(uint32_t cid, uint32_t port, int milliseconds);
int vmdev_connect_tcp(const char *address, uint16_t port, int milliseconds);

/// A timer that can be read once each second from now on (timerfd_create(2)).
int vmdev_each_second(void);

/// Where who connected is: the family of his address, and his number (AF_VSOCK) or IP address as text.
int vmdev_peer(int socket, uint32_t *cid, char *host, size_t size);

/// Takes a connection that waits, without waiting for one: -EAGAIN when there is none.
int vmdev_accept_waiting(int listener);

/// Listens `channel` ports above the address of the connected socket, for a UNIX socket at its path with `.channel` added;
/// answers the descriptor. Of a UNIX socket that nobody serves any more the place is taken over.
int vmdev_listen_beside(int socket, unsigned channel);

/// Removes the UNIX socket that a descriptor listens on from the file system; another one is no error.
int vmdev_unlink_listener(int socket);

/// Has the kernel look whether the other end of a TCP connection is still there, and end the connection when it has not
/// answered for about a minute; another kind of socket is no error.
int vmdev_keep_alive(int socket);

/// Starts a program that reads from `input` and writes to `output`; what it says on standard error goes nowhere.
/// `arguments` are `count` bytes of strings, each with its NUL, 15 at most; no other descriptor of ours is open in it.
int vmdev_start_piped(const char *program, const void *arguments, size_t count, int input, int output, int *pid);

/// Makes a pipe whose two ends close on exec (pipe2(2)).
int vmdev_pipe(int ends[2]);

/// Makes a pair of connected UNIX stream sockets that close on exec.
int vmdev_socket_pair(int ends[2]);

/// Takes the status of a child that has ended: that of its exit, or 128 and the signal's number.
int vmdev_reap(int pid, int *status);

/// Opens a path, always with O_CLOEXEC; `flags` are the VMDEV_OPEN_ ones.
int vmdev_open(const char *path, int flags, unsigned mode);
int vmdev_openat(int directory, const char *path, int flags, unsigned mode);

enum {
    VMDEV_OPEN_READ = 0,
    VMDEV_OPEN_WRITE = 1 << 0,
    VMDEV_OPEN_READ_WRITE = 1 << 1,
    VMDEV_OPEN_CREATE = 1 << 2,
    VMDEV_OPEN_EXCLUSIVE = 1 << 3,
    VMDEV_OPEN_NO_FOLLOW = 1 << 4,
    VMDEV_OPEN_DIRECTORY = 1 << 5,
    VMDEV_OPEN_NON_BLOCKING = 1 << 6,
    VMDEV_OPEN_PATH = 1 << 7,
};

/// Size of an opened block device in bytes (BLKGETSIZE64).
int vmdev_block_size(int fd, uint64_t *bytes);

/// Sequence number of the disk behind an opened block device (BLKGETDISKSEQ, Linux 5.15): never used twice in one boot.
int vmdev_block_sequence(int fd, uint64_t *sequence);

/// Whether an opened block device refuses to be written (BLKROGET).
int vmdev_block_read_only(int fd, int *is_read_only);

/// Major and minor number of an opened device node, and whether it is a block device.
int vmdev_node_number(int fd, uint32_t *major, uint32_t *minor, int *is_block);

/// A moment in local time, as people write it.
struct vmdev_calendar {
    int32_t year, month, day, hour, minute, second;
};

/// Local time of a moment in seconds since 1970 (localtime_r(3)).
struct vmdev_calendar vmdev_local_time(int64_t seconds);

/// The moment of a local time (mktime(3), which makes the last day of the month before out of day 0); negative when there
/// is none.
int64_t vmdev_moment(struct vmdev_calendar time);

#endif
