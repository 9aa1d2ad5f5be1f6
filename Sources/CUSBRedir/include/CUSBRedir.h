// The part of libusb and libusbredirhost that gives a USB device away over a connection (usbredirhost.h and libusb.h, whose
// interfaces have not changed since libusbredirhost.so.1 and libusb 1.0.24). Both are opened only when they are needed: a
// source VM without USB devices to give needs neither, and building needs no header of theirs.
#ifndef VMDEV_CUSBREDIR_H
#define VMDEV_CUSBREDIR_H

#include <poll.h>
#include <stddef.h>

struct vmdev_usb_server;

enum vmdev_usb_end {
    /// It goes on.
    VMDEV_USB_SERVING = 0,
    /// The other side has closed the connection, sent what is not usbredir, or does not want the device.
    VMDEV_USB_PEER_ENDED = 1,
    /// The device does not work any more.
    VMDEV_USB_DEVICE_LOST = 2,
};

/// Whether libusbredirhost and libusb are here.
int vmdev_usb_is_installed(void);

/// Takes the device that is open as `device`, a node below /dev/bus/usb, from the drivers of this machine, and serves it to who
/// reads `output` and writes `input`; none of the three is closed. What is not possible is told in `message`, and the answer is
/// NULL. Nothing is read or written before the first vmdev_usb_serve.
struct vmdev_usb_server *vmdev_usb_open(int device, int input, int output, char *message, size_t size);

/// What there is to wait for until there is something to do: at most `count` are stored, and the number of all is answered.
size_t vmdev_usb_waits(struct vmdev_usb_server *server, struct pollfd *waits, size_t count);

/// Does what can be done without waiting.
enum vmdev_usb_end vmdev_usb_serve(struct vmdev_usb_server *server);

/// Gives the device back to the drivers of this machine.
void vmdev_usb_close(struct vmdev_usb_server *server);

#endif
