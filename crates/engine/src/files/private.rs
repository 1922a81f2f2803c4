//! Directories that nobody else may look into.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// Read, write and search for the owner alone.
const PRIVATE: u32 = 0o700;

/// Makes a directory for us alone, or makes one that is there ours alone.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(PRIVATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_for_the_owner_alone_also_if_it_was_there() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        for _ in 0..2 {
            private_dir(&dir).unwrap();
            assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, PRIVATE);
            fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        }
    }
}
