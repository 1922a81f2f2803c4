//! Files as people have them, and what is said of their rows.

use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn read_in(
    bytes: &[u8],
    options: &ImportOptions,
    chunk: usize,
) -> Result<(Layout, Vec<ImportRow>), ImportError> {
    let (mut reader, mut rows) = (ImportReader::new(options.clone()), Vec::new());
    for part in bytes.chunks(chunk.max(1)) {
        reader.push(part, &mut rows)?;
    }
    let layout = reader.finish(&mut rows)?;
    Ok((layout, rows))
}

fn read(bytes: &[u8]) -> Result<(Layout, Vec<ImportRow>), ImportError> {
    read_in(bytes, &ImportOptions::default(), 1_000_000)
}

fn told(found: &(Layout, Vec<ImportRow>)) -> String {
    let (layout, rows) = found;
    let columns: Vec<String> =
        layout.columns.iter().map(|c| format!("{}={}", c.field, c.name)).collect();
    let mut out = format!("{} {:?} {}\n", layout.encoding, layout.delimiter, columns.join(" "));
    for row in rows {
        match row {
            ImportRow::Contact { line, contact, .. } => {
                let variables = &contact.variables;
                let _ = writeln!(
                    out,
                    "{line}: {} [{}] {variables}",
                    contact.destination, contact.reference
                );
            }
            ImportRow::Rejected { line, faults, .. } => {
                for fault in faults {
                    let _ = writeln!(out, "{line}: {} {fault}", fault.fault.name());
                }
            }
        }
    }
    out.replace('\r', "")
}

fn check(file: &str, expected: &Expect) {
    expected.assert_eq(&told(&read(file.as_bytes()).unwrap()));
}

#[test]
fn header_names_what_the_columns_hold() {
    check(
        "Phone;ID;First name;Time zone\n+1 (617) 555-0101;a1;Ann;America/New_York\n6175550102;a2;\"Bob; jr\";\n",
        &expect![[r#"
            utf-8 Semicolon number=Phone reference=ID var.First name=First name zone=Time zone
            2: +16175550101 [a1] First name=Ann
            3: 6175550102 [a2] First name=Bob; jr
        "#]],
    );
}

#[test]
fn list_without_a_header_is_read_by_what_stands_in_it() {
    check(
        "Ann\t6175550101\nBob\t6175550102\n",
        &expect![[r#"
        utf-8 Tab var.column 1=column 1 number=column 2
        1: 6175550101 [] column 1=Ann
        2: 6175550102 [] column 1=Bob
    "#]],
    );
}

#[test]
fn each_mistake_is_named_with_its_repair() {
    check(
        "phone,reference,priority,tz\n\
         4.91701E+11,1,,\n\
         +49 (0)30 1234567,2,,\n\
         617 555 0101 / 617 555 0102,3,,\n\
         n/a,4,,\n\
         ,5,,\n\
         12,6,,\n\
         6175550103,7,eleven,Mars\n\
         6175550104,8,3,Europe/Berlin,x,y\n\
         6175550105,9,10,europe/berlin,,\n\
         (617) 555-0105,10,,\n\
         6175550106,9,,\n",
        &expect![[r#"
            utf-8 Comma number=phone reference=reference priority=priority zone=tz
            2: scientific phone: found "4.91701E+11", expected a number such as +12125550101 (format the column as text in the spreadsheet and save again)
            3: trunk_prefix phone: found "+49 (0)30 1234567", expected +49 30 1234567 (leave the (0) out)
            4: several_numbers phone: found "617 555 0101 / 617 555 0102", expected one number (keep one number in a cell)
            5: not_a_number phone: found "n/a", expected a number such as +12125550101 (write the number with digits only, as +12125550101)
            6: missing phone: found "", expected a number such as +12125550101 (fill in the number, or leave the row out)
            7: too_short phone: found "12", expected a number of 3 digits or more (write the whole number with area code)
            8: priority priority: found "eleven", expected a whole number from 1 to 10 (write a whole number from 1 to 10, or leave the cell empty)
            8: zone tz: found "Mars", expected a zone such as America/Chicago (write the name of a zone, as America/Chicago, or leave the cell empty)
            9: extra_cells found "x y", expected the 4 cells that the file has columns (put quotes around cells that contain the delimiter)
            10: 6175550105 [9] 
            11: duplicate phone: found "6175550105", expected a number other than that of line 10 (nothing to do, unless the number is to be called for each row)
            12: duplicate_reference reference: found "9", expected a reference other than that of line 10 (give each row a reference of its own)
        "#]],
    );
}

#[test]
fn line_is_the_one_on_which_the_row_begins_in_the_file() {
    check(
        "sep=,\r\nphone,note\r\n\r\n6175550101,\"two\r\nlines\"\r\nx,y\r\n",
        &expect![[r#"
            utf-8 Comma number=phone var.note=note
            4: 6175550101 [] note=two
            lines
            6: not_a_number phone: found "x", expected a number such as +12125550101 (write the number with digits only, as +12125550101)
        "#]],
    );
}

#[test]
fn file_may_be_in_any_encoding_of_spreadsheets() {
    let text = "phone;name\n6175550101;Zo\u{eb}\n";
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf_16.clone()).collect();
    let windows: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let utf_8_marked: Vec<u8> = [0xef, 0xbb, 0xbf].into_iter().chain(text.bytes()).collect();
    for bytes in [text.as_bytes(), &utf_16, &marked, &windows, &utf_8_marked] {
        let (_, rows) = read(bytes).unwrap();
        let [ImportRow::Contact { contact, .. }] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(contact.variables.value("name"), Some("Zo\u{eb}"));
    }
}

#[test]
fn client_says_what_the_columns_hold() {
    let options = ImportOptions {
        mapping: "number=2, var.first_name=Name, ignore=secret".parse().unwrap(),
        ..ImportOptions::default()
    };
    let file = "Name,mobile,phone,secret\nAnn,6175550101,6175550102,s\n";
    let found = read_in(file.as_bytes(), &options, 7).unwrap();
    expect![[r#"
        utf-8 Comma var.first_name=Name number=mobile var.phone=phone ignore=secret
        2: 6175550101 [] first_name=Ann&phone=6175550102
    "#]]
    .assert_eq(&told(&found));
}

#[test]
fn file_that_is_no_list_is_refused_as_a_whole() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    let all = [
        refused(b""),
        refused(b"\n\n  \n"),
        refused(b"PK\x03\x04rest"),
        refused(b"name,city\nAnn,Rome\n"),
        "number=".parse::<Mapping>().unwrap_err().to_string(),
        "number=a,number=b".parse::<Mapping>().unwrap_err().to_string(),
    ];
    expect![[r#"
        file is empty, expected a row for each contact
        file is empty, expected a row for each contact
        file is a spreadsheet's own or an archive, save it as CSV (UTF-8)
        no column holds numbers, the file has name, city; name it with number=COLUMN
        mapping has "number=", expected field=column with a field of number, caller_id, reference, parameters, priority, zone, region, postal_code, ignore or var.NAME
        mapping gives number twice"#]].assert_eq(&all.join("\n"));
}

#[test]
fn quote_that_is_never_closed_costs_its_row_and_no_memory() {
    let mut file = b"phone,note\n6175550101,\"open\n".to_vec();
    file.extend(b"x".repeat(3 * ROW_BYTES_MAX));
    file.extend(b"\"\n6175550102,ok\n");
    let (_, rows) = read_in(&file, &ImportOptions::default(), 4_096).unwrap();
    let faults = |row: &ImportRow| match row {
        ImportRow::Contact { .. } => Vec::new(),
        ImportRow::Rejected { faults, .. } => faults.iter().map(|f| f.fault).collect(),
    };
    assert_eq!(rows.iter().map(faults).collect::<Vec<_>>(), [vec![Fault::RowTooLong], vec![]]);
}

#[test]
fn duplicates_are_taken_where_the_client_wants_them() {
    let options = ImportOptions { keep_duplicates: true, ..ImportOptions::default() };
    let (_, rows) = read_in(b"phone\n6175550101\n6175550101\n", &options, 5).unwrap();
    assert!(rows.iter().all(|row| matches!(row, ImportRow::Contact { .. })));
}

#[test]
fn list_of_numbers_alone_takes_each_row_whatever_else_stands_in_it() {
    let options = ImportOptions { numbers_only: true, ..ImportOptions::default() };
    let file = b"phone,id,priority\n6175550101,7,high\n6175550102,7,\n6175550101,,\nbad,7,\n";
    let (layout, rows) = read_in(file, &options, 5).unwrap();
    let taken = |row: &ImportRow| match row {
        ImportRow::Contact { contact, .. } => Some(contact.destination.to_string()),
        ImportRow::Rejected { .. } => None,
    };
    let taken: Vec<_> = rows.iter().map(taken).collect();
    let number = |number: &str| Some(number.to_owned());
    assert_eq!(taken, [number("6175550101"), number("6175550102"), number("6175550101"), None]);
    let fields: Vec<_> = layout.columns.iter().map(|column| column.field.as_str()).collect();
    assert_eq!(fields, ["number", "ignore", "ignore"]);
}

#[test]
fn rejected_rows_come_back_as_a_file_that_can_be_imported_again() {
    let found = read(b"phone;note\nbad;\"a;b\"\n6175550101;x\n").unwrap();
    let (writer, mut file) = RejectedWriter::new(&found.0);
    for row in &found.1 {
        if let ImportRow::Rejected { line, faults, cells } = row {
            file.push_str(&writer.row(*line, faults, cells));
        }
    }
    expect![[r#"
        phone;note;rejected line;rejected for
        bad;"a;b";2;"phone: found ""bad"", expected a number such as +12125550101 (write the number with digits only, as +12125550101)"
    "#]].assert_eq(&file);
    let again = read(file.replace("bad", "6175550102").as_bytes()).unwrap();
    let [ImportRow::Contact { contact, .. }] = again.1.as_slice() else { panic!("{again:?}") };
    assert_eq!(contact.variables.to_string(), "note=a;b");
}

#[test]
fn report_counts_all_and_shows_some() {
    let mut file = String::from("phone,id\n");
    for nth in 0..1_000 {
        let _ = writeln!(file, "{},{nth}", if nth % 2 == 0 { "bad" } else { "" });
    }
    file.push_str("6175550101,x\n6175550101,y\n");
    let (layout, rows) = read(file.as_bytes()).unwrap();
    let mut report = ImportReport::default();
    rows.iter().for_each(|row| report.add(row));
    let report = report.finish(layout);
    assert_eq!(
        (report.rows, report.accepted, report.rejected, report.duplicates),
        (1_002, 1, 1_001, 1)
    );
    let kinds: Vec<_> = report.faults.iter().map(|kind| (kind.fault, kind.count)).collect();
    assert_eq!(kinds, [(Fault::Missing, 500), (Fault::NotANumber, 500), (Fault::Duplicate, 1)]);
    let shown: usize = report.faults.iter().map(|kind| kind.examples.len()).sum();
    assert!(shown <= 100 && report.faults.iter().all(|kind| !kind.examples.is_empty()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_alike_in_any_parts(
        bytes in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'"'), Just(b'\n'), Just(b'\r'), Just(b','), Just(b';'), b'0'..=b'9',
        ], 0..400),
        chunk in 1_usize..50,
    ) {
        let whole = read(&bytes);
        let parts = read_in(&bytes, &ImportOptions::default(), chunk);
        prop_assert_eq!(&whole, &parts);
        if let Ok((layout, rows)) = whole {
            let (writer, _) = RejectedWriter::new(&layout);
            for row in rows {
                if let ImportRow::Rejected { line, faults, cells } = row {
                    prop_assert!(!faults.is_empty());
                    writer.row(line, &faults, &cells);
                }
            }
        }
    }
}
