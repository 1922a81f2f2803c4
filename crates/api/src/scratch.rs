//! Readers of long files of contacts, which keep on disk what they must remember of them.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt;

use facade::import::{ImportOptions, ImportReader, Scratch};

/// A reader of a file of any length in as much memory.
pub fn import_reader(options: ImportOptions) -> ImportReader {
    let seed = RandomState::new().hash_one(());
    ImportReader::keeping_in(options, seed, Box::<ScratchFile>::default())
}

/// A file without a name, gone when it is closed; there is none before it is needed.
#[derive(Default)]
struct ScratchFile(Option<File>);

impl Scratch for ScratchFile {
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize> {
        let Some(file) = &self.0 else {
            return Ok(0);
        };
        loop {
            match file.read_at(into, at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let file = match &mut self.0 {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all_at(bytes, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_was_passed_over_is_zeros() {
        let mut file = ScratchFile::default();
        let mut bytes = [9; 4];
        assert_eq!(file.read(7, &mut bytes).unwrap(), 0);
        assert!(file.0.is_none());
        file.write(4, &[1, 2]).unwrap();
        assert_eq!(file.read(2, &mut bytes).unwrap(), 4);
        assert_eq!(bytes, [0, 0, 1, 2]);
        assert_eq!(file.read(6, &mut bytes).unwrap(), 0);
    }
}
