// Tests of HostDevices.
