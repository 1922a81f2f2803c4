//! Every form of a list, row by row, however its bytes arrive.

use proptest::prelude::*;

use super::*;
use crate::list::Rejection;

/// Reads a whole file in chunks of `chunk` bytes; one sentence for each row.
fn rows(file: &[u8], chunk: usize) -> Result<Vec<String>, ListError> {
    let mut reader = ListReader::default();
    let mut out = Vec::new();
    for bytes in file.chunks(chunk) {
        reader.push(bytes, &mut out)?;
    }
    reader.finish(&mut out)?;
    Ok(out.iter().map(sentence).collect())
}

fn sentence(row: &ListRow) -> String {
    match row {
        ListRow::Contact { row, contact } => {
            let NewContact { destination, reference, parameters, .. } = contact;
            format!("{row}: {destination} [{reference}] [{parameters}]")
        }
        ListRow::Rejected(Rejection { row, phone_number, message_reference, reason }) => {
            format!("{row}: {phone_number:?} [{message_reference}] rejected: {reason}")
        }
    }
}

fn read(file: &str) -> Vec<String> {
    rows(file.as_bytes(), 7).unwrap()
}

/// Checklist 0-030.
#[test]
fn plain_list_has_number_reference_and_parameters_between_tabs() {
    assert_eq!(
        read(
            "12125550101\tref 1\tname=Ann,age=3\n+12125550102;ani=8005550199\tref-2\n12125550103\n"
        ),
        [
            "1: 12125550101 [ref 1] [name=Ann,age=3]",
            "2: +12125550102;ani=8005550199 [ref-2] []",
            "3: 12125550103 [] []",
        ]
    );
}

#[test]
fn other_separators_are_found_in_the_first_row_that_has_one() {
    assert_eq!(
        read("12125550101\n12125550102, r2, a, b\n12125550103,\"r,3\",\"x \"\"y\"\", z\"\n"),
        ["1: 12125550101 [] []", "2: 12125550102 [r2] [a, b]", "3: 12125550103 [r,3] [x \"y\", z]",]
    );
    assert_eq!(
        read("tel:+12125550101;ani=8005550199;postd=1,2;r1;a;b\n12125550102;r2\n"),
        ["1: +12125550101;ani=8005550199;postd=1,2 [r1] [a;b]", "2: 12125550102 [r2] []",]
    );
    assert_eq!(read("12125550101|r1|a|b"), ["1: 12125550101 [r1] [a|b]"]);
}

#[test]
fn keys_in_a_list_with_commas_are_refused_for_nobody_knows_where_they_end() {
    assert_eq!(
        read("12125550101;postd=1,2,r1\n"),
        [
            "1: \"12125550101;postd=1,2,r1\" [] rejected: postd cannot be read in a list with commas, \
          expected tabs between the parts of the row"
        ]
    );
}

#[test]
fn blank_rows_and_comments_are_skipped_and_counted() {
    assert_eq!(
        read("\u{feff}# spring\r\n\r\n12125550101\r\n   \r\n12125550102"),
        ["3: 12125550101 [] []", "5: 12125550102 [] []"]
    );
}

#[test]
fn every_kind_of_line_break_ends_a_row() {
    assert_eq!(read("1\r2\n3\r\n\n4"), ["1: 1 [] []", "2: 2 [] []", "3: 3 [] []", "5: 4 [] []"]);
}

#[test]
fn list_that_is_not_utf_8_is_read_as_windows_1252() {
    assert_eq!(
        rows(b"1\tM\xfcller\n2\tM\xc3\xbcller\n", 3).unwrap(),
        ["1: 1 [Müller] []", "2: 2 [Müller] []"]
    );
}

/// Checklist 0-028, 0-030: what cannot be queued is named with its row.
#[test]
fn rows_that_cannot_be_taken_in_say_what_was_found_and_what_would_be_right() {
    let long = "x".repeat(256);
    assert_eq!(
        read(&format!("hello\tr1\n1212555\t{long}\n1;ani=\tr3\n1\tr\t{long}\n")),
        [
            "1: \"hello\" [r1] rejected: number has 'h', which is neither a digit nor a separator, \
             expected a number such as +12125550101;ani=8005550199;postd=2"
                .to_owned(),
            format!(
                "2: \"1212555\" [{}…] rejected: message_reference has 256 characters, expected at \
                 most 255",
                "x".repeat(60)
            ),
            "3: \"1;ani=\" [r3] rejected: ani must be a number of 1 to 32 digits, expected a number \
             such as +12125550101;ani=8005550199;postd=2"
                .to_owned(),
            "4: \"1\" [r] rejected: call_parameters has 256 characters, expected at most 255"
                .to_owned(),
        ]
    );
}

#[test]
fn contacts_file_makes_variables_of_its_further_columns() {
    assert_eq!(
        read(
            "\"destination\",\"first_name\",\"last_name\"\n\
             \"12125550101\",\"Ann\",\"Lee & Co\"\n\
             \"tel:+12125550102;ani=8005550199\",\"Bo\"\n"
        ),
        [
            "2: 12125550101 [] [first_name=Ann&last_name=Lee+%26+Co]",
            "3: +12125550102;ani=8005550199 [] [first_name=Bo]",
        ]
    );
}

#[test]
fn contacts_file_may_name_reference_and_parameters_in_any_place() {
    assert_eq!(
        read("Destination;city;message_reference;call_parameters\n1;Köln;r1;a=1\n2;;r2;\n"),
        ["2: 1 [r1] [a=1&city=K%C3%B6ln]", "3: 2 [r2] [city=]"]
    );
    assert_eq!(read("phone_number\n1\n"), ["2: 1 [] []"]);
    assert_eq!(read("destination\tcall_parameters\n1\ta,b\n"), ["2: 1 [] [a,b]"]);
}

#[test]
fn quotes_that_do_not_close_cost_one_row_only() {
    assert_eq!(
        read("destination,name\n1,\"Ann\n2,\"Bo\"x\n3,Cy,more\n4,\"D \"\"d\"\"\"\n"),
        [
            "2: \"1,\\\"Ann\" [] rejected: a quote is not closed, expected its end in the same row",
            "3: \"2,\\\"Bo\\\"x\" [] rejected: text follows a closing quote, expected a separator \
             there; write a quote inside as \"\"",
            "4: \"3\" [] rejected: found 3 values, expected at most the 2 that the header names",
            "5: 4 [] [name=D+%22d%22]",
        ]
    );
}

#[test]
fn header_with_mistakes_refuses_the_file() {
    let refusal = |file: &str| rows(file.as_bytes(), 5).unwrap_err().to_string();
    assert_eq!(refusal("destination,,x\n"), "header of the list: column 2 has no name");
    assert_eq!(refusal("destination,a,a\n"), "header of the list: column \"a\" appears twice");
    let wide = format!("destination{}\n", ",x".repeat(64));
    assert_eq!(refusal(&wide), "header of the list: found 65 columns, expected at most 64");
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    assert_eq!(rows(b"PK\x03\x04\x14\x00\n", 99), Err(ListError::Workbook));
    assert_eq!(rows(b"\xff\xfe1\x002\x00\n\x00", 1), Err(ListError::Utf16));
}

#[test]
fn row_without_end_is_cut_and_rejected() {
    let file = format!("1{}\n2\n", " ".repeat(1_000_000));
    let read = rows(file.as_bytes(), 4_096).unwrap();
    assert_eq!(read, ["1: \"1\" [] rejected: row is longer than 8192 bytes", "2: 2 [] []"]);
}

/// A list of 100,000 rows costs no more memory than the chunk it is read in.
#[test]
fn long_list_is_read_in_bounded_memory() {
    const CHUNK: usize = 64 * 1024;
    let mut reader = ListReader::default();
    let mut out = Vec::new();
    let (mut taken, mut rejected, mut held_max) = (0_u32, 0_u32, 0_usize);
    let mut pending = String::new();
    for n in 0..100_000_u32 {
        let number = if n % 10 == 9 { "broken".into() } else { format!("+1212{n:07}") };
        pending.push_str(&format!("{number}\tref-{n}\tname=Ann&n={n}\n"));
        if pending.len() >= CHUNK || n == 99_999 {
            reader.push(pending.as_bytes(), &mut out).unwrap();
            pending.clear();
            held_max = held_max.max(out.len());
            for row in out.drain(..) {
                match row {
                    ListRow::Contact { .. } => taken += 1,
                    ListRow::Rejected(_) => rejected += 1,
                }
            }
        }
    }
    reader.finish(&mut out).unwrap();
    assert_eq!((taken, rejected, out.len()), (90_000, 10_000, 0));
    assert!(held_max < 3_000, "{held_max} rows were held at once");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        file in proptest::collection::vec(any::<u8>(), 0..600),
        chunk in 1_usize..50,
    ) {
        let _ = rows(&file, chunk);
    }

    #[test]
    fn chunks_make_no_difference(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("destination"), Just("12125550101"), Just(";ani=1800"), Just(";postd=1,2"),
                Just("\t"), Just(","), Just(";"), Just("|"), Just("\""), Just("\r"), Just("\n"),
                Just("\r\n"), Just("#"), Just("é"), Just("name"), Just(" "),
            ],
            0..60,
        ),
        chunk in 1_usize..20,
    ) {
        let file = pieces.concat();
        prop_assert_eq!(rows(file.as_bytes(), chunk), rows(file.as_bytes(), 10_000));
    }
}
