//! Lists of contacts: any bytes, in pieces of any size.

#![no_main]

use facade::import::{ImportReader, ImportRow, RejectedWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (piece, bytes) = bytes.split_first().map_or((1, bytes), |(first, rest)| (usize::from(*first) + 1, rest));
    let mut reader = ImportReader::new(fuzzing::import_options());
    let mut rows = Vec::new();
    for piece in bytes.chunks(piece) {
        if reader.push(piece, &mut rows).is_err() {
            return;
        }
    }
    let Ok(layout) = reader.finish(&mut rows) else { return };
    let (writer, _) = RejectedWriter::new(&layout);
    for row in &rows {
        if let ImportRow::Rejected { line, faults, cells } = row {
            writer.row(*line, faults, cells);
        }
    }
});
