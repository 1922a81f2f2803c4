//! Rules of hours against brute force.
use super::*;

#[test]
fn every_shipped_file_is_read() {
    assert_eq!(RuleBook::built_in().provenance().len(), 4);
}
