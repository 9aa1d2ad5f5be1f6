#include "CUSBRedir.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

// From libusb.h, usbredirhost.h and usbredirparser.h, no more than is called.
struct libusb_context;
struct libusb_device_handle;
struct usbredirhost;
struct libusb_pollfd {
    int fd;
    short events;
};

enum { no_device_discovery = 2 };
enum { read_device_lost = -4 };
enum { log_error = 1, log_warning = 2 };

typedef void (*log_function)(void *, int, const char *);
typedef int (*transfer_function)(void *, uint8_t *, int);

struct usb {
    int (*set_option)(struct libusb_context *, int, ...);
    int (*init)(struct libusb_context **);
    void (*exit)(struct libusb_context *);
    int (*wrap_sys_device)(struct libusb_context *, intptr_t, struct libusb_device_handle **);
    const char *(*error_name)(int);
    const struct libusb_pollfd **(*get_pollfds)(struct libusb_context *);
    void (*free_pollfds)(const struct libusb_pollfd **);
    int (*handle_events)(struct libusb_context *, struct timeval *, int *);
};

struct redir {
    struct usbredirhost *(*open)(struct libusb_context *, struct libusb_device_handle *, log_function, transfer_function,
        transfer_function, void *, const char *, int, int);
    void (*close)(struct usbredirhost *);
    int (*read)(struct usbredirhost *);
    int (*has_output)(struct usbredirhost *);
    int (*write)(struct usbredirhost *);
};

struct vmdev_usb_server {
    struct usb usb;
    struct redir redir;
    struct libusb_context *context;
    struct usbredirhost *host;
    int input, output;
    // The other side has closed it, or it is broken.
    int is_ended;
};

struct symbol {
    const char *name;
    void *place;
};

static int find(const char *library, const struct symbol *symbols, size_t count) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return 0;
    for (size_t index = 0; index < count; index++) {
        void *function = dlsym(handle, symbols[index].name);
        if (!function) return 0;
        memcpy(symbols[index].place, &function, sizeof function);
    }
    return 1;
}

static int load(struct usb *usb, struct redir *redir) {
    const struct symbol of_usb[] = {
        {"libusb_set_option", &usb->set_option}, {"libusb_init", &usb->init}, {"libusb_exit", &usb->exit},
        {"libusb_wrap_sys_device", &usb->wrap_sys_device}, {"libusb_error_name", &usb->error_name},
        {"libusb_get_pollfds", &usb->get_pollfds}, {"libusb_free_pollfds", &usb->free_pollfds},
        {"libusb_handle_events_timeout_completed", &usb->handle_events},
    };
    const struct symbol of_redir[] = {
        {"usbredirhost_open", &redir->open}, {"usbredirhost_close", &redir->close},
        {"usbredirhost_read_guest_data", &redir->read}, {"usbredirhost_has_data_to_write", &redir->has_output},
        {"usbredirhost_write_guest_data", &redir->write},
    };
    return find("libusb-1.0.so.0", of_usb, sizeof of_usb / sizeof *of_usb) &&
           find("libusbredirhost.so.1", of_redir, sizeof of_redir / sizeof *of_redir);
}

int vmdev_usb_is_installed(void) {
    struct usb usb;
    struct redir redir;
    return load(&usb, &redir);
}

// What goes wrong with a device or with what the guest asks of it; numbers of theirs in sentences of the library's.
static void say(void *server, int level, const char *text) {
    (void)server;
    if (level == log_error || level == log_warning) dprintf(STDERR_FILENO, "vmdev-export: %.300s\n", text);
}

// Both descriptors have O_NONBLOCK. 0 is "not now".
static int receive(void *pointer, uint8_t *bytes, int count) {
    struct vmdev_usb_server *server = pointer;
    ssize_t got = read(server->input, bytes, (size_t)count);
    if (got > 0) return (int)got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    server->is_ended = 1;
    return -1;
}

static int transmit(void *pointer, uint8_t *bytes, int count) {
    struct vmdev_usb_server *server = pointer;
    ssize_t sent = write(server->output, bytes, (size_t)count);
    if (sent >= 0) return (int)sent;
    if (errno == EAGAIN || errno == EINTR) return 0;
    server->is_ended = 1;
    return -1;
}

struct vmdev_usb_server *vmdev_usb_open(int device, int input, int output, char *message, size_t size) {
    struct vmdev_usb_server *server = calloc(1, sizeof *server);
    if (!server || !load(&server->usb, &server->redir)) {
        snprintf(message, size, server ? "libusbredirhost is not installed" : "no memory");
        free(server);
        return NULL;
    }
    server->input = input;
    server->output = output;
    // No other device is looked at: this one is open already.
    server->usb.set_option(NULL, no_device_discovery);
    int code = server->usb.init(&server->context);
    if (code != 0) {
        snprintf(message, size, "libusb does not start (%s)", server->usb.error_name(code));
        free(server);
        return NULL;
    }
    struct libusb_device_handle *handle = NULL;
    code = server->usb.wrap_sys_device(server->context, device, &handle);
    if (code != 0) {
        snprintf(message, size, "libusb does not take it (%s)", server->usb.error_name(code));
    } else {
        // It owns the handle from here on, also when it fails.
        server->host = server->redir.open(server->context, handle, say, receive, transmit, server, "vmdev-export", log_warning, 0);
        if (server->host) return server;
        snprintf(message, size, "it cannot be taken from the drivers of this machine");
    }
    server->usb.exit(server->context);
    free(server);
    return NULL;
}

size_t vmdev_usb_waits(struct vmdev_usb_server *server, struct pollfd *waits, size_t count) {
    size_t found = 0;
    const struct pollfd own[] = {
        {.fd = server->input, .events = POLLIN},
        {.fd = server->redir.has_output(server->host) > 0 ? server->output : -1, .events = POLLOUT}};
    for (size_t index = 0; index < 2; index++, found++) {
        if (found < count) waits[found] = own[index];
    }
    // Its timeouts are a descriptor as well (timerfd_create(2)).
    const struct libusb_pollfd **list = server->usb.get_pollfds(server->context);
    for (size_t index = 0; list && list[index]; index++, found++) {
        if (found < count) waits[found] = (struct pollfd){.fd = list[index]->fd, .events = list[index]->events};
    }
    if (list) server->usb.free_pollfds(list);
    return found;
}

enum vmdev_usb_end vmdev_usb_serve(struct vmdev_usb_server *server) {
    struct timeval now = {0, 0};
    server->usb.handle_events(server->context, &now, NULL);
    int code = server->redir.read(server->host);
    if (code == read_device_lost) return VMDEV_USB_DEVICE_LOST;
    if (code != 0 || server->is_ended) return VMDEV_USB_PEER_ENDED;
    if (server->redir.has_output(server->host) > 0) server->redir.write(server->host);
    return server->is_ended ? VMDEV_USB_PEER_ENDED : VMDEV_USB_SERVING;
}

void vmdev_usb_close(struct vmdev_usb_server *server) {
    server->redir.close(server->host);
    server->usb.exit(server->context);
    free(server);
}
