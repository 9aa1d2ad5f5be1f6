// Tests of Applying.
