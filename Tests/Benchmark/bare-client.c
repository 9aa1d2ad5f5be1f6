// Sends the QMP commands that vmdev-apply sends for some disks, and does nothing else: no table, no look at the host, no
// lock that anybody would respect, no check of an answer. What vmdev-apply takes longer is its own work.
// Usage: bare-client SOCKET [DISK…]      (the VM has the free ports rp1, rp2, …)
//        bare-client --connect SOCKET    only connects
//        bare-client --greeting SOCKET   waits until QEMU serves there, and opens a session
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { pipelined = 8 };  // what QEMU takes before it stops reading

static int connection;
static char queue[65536];
static size_t queued;
static int unanswered;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

// Reads until the answers to all commands are there; an answer is a line, and so is an event.
static void drain(void) {
    static char buffer[1 << 20];
    static size_t filled;
    while (unanswered > 0) {
        char *end = memchr(buffer, '\n', filled);
        if (!end) {
            ssize_t count = read(connection, buffer + filled, sizeof buffer - filled);
            if (count <= 0) fail("read");
            filled += (size_t)count;
            continue;
        }
        *end = 0;
        if (!strstr(buffer, "\"event\"")) unanswered--;
        if (strstr(buffer, "\"error\"")) fprintf(stderr, "%s\n", buffer), exit(1);
        filled -= (size_t)(end + 1 - buffer);
        memmove(buffer, end + 1, filled);
    }
}

static void flush(void) {
    if (queued && write(connection, queue, queued) != (ssize_t)queued) fail("write");
    queued = 0;
    drain();
}

static void command(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    queued += (size_t)vsnprintf(queue + queued, sizeof queue - queued, format, arguments);
    va_end(arguments);
    if (++unanswered == pipelined) flush();
}

static void with_descriptor(int descriptor, const char *format, const char *name) {
    flush();
    char line[512];
    int length = snprintf(line, sizeof line, format, name);
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {line, (size_t)length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    if (sendmsg(connection, &message, 0) != length) fail("sendmsg");
    unanswered = 1;
    drain();
}

int main(int count, char **arguments) {
    if (count < 2) return 64;
    int only_connects = !strcmp(arguments[1], "--connect"), only_greets = !strcmp(arguments[1], "--greeting");
    int disks = only_connects || only_greets ? 0 : count - 2;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, arguments[only_connects || only_greets ? 2 : 1], sizeof address.sun_path - 1);
    connection = socket(AF_UNIX, SOCK_STREAM, 0);
    while (connect(connection, (struct sockaddr *)&address, sizeof address) < 0) {
        if (!only_greets || (errno != ENOENT && errno != ECONNREFUSED)) fail("connect");
        usleep(2000);
    }
    if (only_connects) return 0;
    unanswered = 1;  // the greeting
    drain();
    command("{\"execute\":\"qmp_capabilities\"}\n");
    if (!only_greets) command("{\"execute\":\"query-name\"}\n");
    flush();
    if (only_greets) return 0;
    command("{\"execute\":\"query-status\"}\n");
    flush();
    if (disks == 0) goto run;
    command("{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral\"}}\n");
    command("{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral-anon\"}}\n");
    command("{\"execute\":\"query-pci\"}\n");
    flush();
    for (int i = 1; i <= disks; i++)
        command("{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/machine/peripheral/rp%d/rp%d\"}}\n", i, i);
    for (int i = 1; i <= disks; i++)
        command("{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/rp%d/rp%d\","
                "\"property\":\"hotplug-handler\"}}\n", i, i);
    flush();
    for (int i = 1; i <= disks; i++) {
        const char *node = arguments[i + 1];
        const char *name = strrchr(node, '/') + 1;
        int lock = open("/dev/null", O_RDWR);
        int claim = open(node, O_RDWR | O_EXCL), data = open(node, O_RDWR);
        if (claim < 0 || data < 0) fail(node);
        with_descriptor(lock, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"lock-%s\"}}\n", name);
        with_descriptor(claim, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"claim-%s\"}}\n", name);
        with_descriptor(data, "{\"execute\":\"add-fd\",\"arguments\":{\"opaque\":\"%s\"}}\n", name);
        command("{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",\"node-name\":\"%s\","
                "\"read-only\":false,\"file\":{\"driver\":\"host_device\",\"filename\":\"/dev/fdset/%d\","
                "\"read-only\":false}}}\n", name, i - 1);
        command("{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"virtio-blk-pci\",\"id\":\"%s\",\"drive\":\"%s\","
                "\"bus\":\"rp%d\",\"addr\":\"0x0\",\"serial\":\"%s\"}}\n", name, name, i, name);
        flush();
        close(lock), close(claim), close(data);
    }
    command("{\"execute\":\"query-block\"}\n");
    for (int i = 1; i <= disks; i++)
        command("{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/%s\",\"property\":\"parent_bus\"}}\n",
                strrchr(arguments[i + 1], '/') + 1);
    flush();
run:
    command("{\"execute\":\"cont\"}\n");
    command("{\"execute\":\"query-status\"}\n");
    flush();
    return 0;
}
