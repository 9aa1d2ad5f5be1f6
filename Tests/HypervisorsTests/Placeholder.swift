// Tests of Hypervisors.
