//! One test for each row of the table of states.
