// Tests of Devices.
