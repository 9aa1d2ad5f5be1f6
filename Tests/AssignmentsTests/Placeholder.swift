// Tests of Assignments.
