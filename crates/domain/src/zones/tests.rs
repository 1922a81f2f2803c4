//! Places of numbers: tables, the four methods, and five hundred numbers.

use proptest::prelude::*;

use super::*;
use crate::number::canonical::{NumberKind, Validity};

fn home() -> Home {
    Home { country: Country::US, zone: None }
}

fn place(number: &str, hint: &Hint, placing: Placing) -> Place {
    Atlas::built_in().place(&Canonical::of(number, Country::US), hint, placing, &home())
}

fn names(place: &Place) -> Vec<&str> {
    place.zones.iter().map(Zone::name).collect()
}

fn regions(place: &Place) -> Vec<String> {
    place.regions.iter().map(Region::to_string).collect()
}

#[test]
fn every_shipped_table_is_read_and_tells_its_source_and_date() {
    let atlas = Atlas::built_in();
    assert_eq!(atlas.provenance().len(), 4);
    for provenance in atlas.provenance() {
        let date = provenance.version.parse::<jiff::civil::Date>();
        assert!(date.is_ok() && !provenance.source.is_empty(), "{}", provenance.file);
    }
    assert!(atlas.prefixes_known() > 400);
}

#[test]
fn every_zone_of_the_tables_is_in_the_database_and_has_a_clock() {
    let now = crate::time::Timestamp::from_seconds(1_790_000_000);
    for zone in Atlas::built_in().all_zones() {
        assert_eq!(Zone::named(zone.name()).as_ref(), Some(zone));
        assert_eq!(zone.local(now).year(), 2026, "{zone}");
    }
}

#[test]
fn every_prefix_of_a_region_has_zones_of_that_region_alone() {
    // A prefix that two regions share has the zones of both.
    let atlas = Atlas::built_in();
    for facts in atlas.regions() {
        for prefix in &facts.prefixes {
            let prefix = prefix.to_string();
            let of_regions: Vec<&Zone> = atlas
                .regions_of(&prefix)
                .iter()
                .flat_map(|region| atlas.by_region(*region).unwrap().zones)
                .filter_map(|zone| atlas.all_zones().find(|known| **known == zone))
                .collect();
            let zones = atlas.zones_by_prefix(&prefix).unwrap();
            assert!(zones.iter().all(|zone| of_regions.contains(&zone)), "{prefix}");
        }
    }
}

#[test]
fn country_has_every_clock_that_its_regions_have() {
    // A change of law parts zones that had one clock; then the country's row must have both.
    let clock = |zone: &Zone| -> Vec<jiff::civil::DateTime> {
        let weeks = (0..208).map(|week| 1_795_000_000 + week * 604_800);
        weeks.map(|at| zone.local(crate::time::Timestamp::from_seconds(at))).collect()
    };
    let atlas = Atlas::built_in();
    for facts in atlas.regions() {
        let of_country: Vec<_> = atlas.zones_of(facts.region.country()).iter().map(clock).collect();
        for zone in &facts.zones {
            assert!(of_country.contains(&clock(zone)), "{} {zone}", facts.region);
        }
    }
}

#[test]
fn area_code_tells_zone_and_region() {
    let boston = place("(617) 555-1234", &Hint::NONE, Placing::default());
    assert_eq!(names(&boston), ["America/New_York"]);
    assert_eq!(
        (regions(&boston), boston.evidence.clone()),
        (vec!["US-MA".into()], vec![Evidence::AreaCode])
    );
    let panhandle = place("850 555 1234", &Hint::NONE, Placing::default());
    assert_eq!(names(&panhandle), ["America/Chicago", "America/New_York"]);
    let yukon = place("867 555 1234", &Hint::NONE, Placing::default());
    assert_eq!(regions(&yukon), ["CA-NT", "CA-NU", "CA-YT"]);
}

#[test]
fn number_without_area_code_may_be_anywhere_in_its_country() {
    let toll_free = place("800 234 5678", &Hint::NONE, Placing::default());
    assert_eq!((toll_free.zones.len(), toll_free.evidence), (8, vec![Evidence::Country]));
    let mobile = place("+61 412 345 678", &Hint::NONE, Placing::default());
    assert_eq!(mobile.zones.len(), 7);
    let berlin = place("+49 30 901820", &Hint::NONE, Placing::default());
    assert_eq!((names(&berlin), berlin.regions.len()), (vec!["Europe/Berlin"], 0));
}

#[test]
fn four_methods_weigh_number_and_client_differently() {
    // A number of Miami that its owner took along to Seattle.
    let hint =
        Hint { postal_code: Some("98101".into()), region: "US-WA".parse().ok(), ..Hint::NONE };
    let seen = |placing| {
        let place = place("305 555 1234", &hint, placing);
        let zones: Vec<String> = names(&place).into_iter().map(str::to_owned).collect();
        (zones.join(" "), regions(&place).join(" "))
    };
    let florida = ("America/New_York".to_owned(), "US-FL".to_owned());
    let washington = ("America/Los_Angeles".to_owned(), "US-WA".to_owned());
    assert_eq!(seen(Placing::AreaCode), florida);
    assert_eq!(seen(Placing::PostalCode), washington);
    assert_eq!(seen(Placing::Region), washington);
    let both = ("America/Los_Angeles America/New_York".to_owned(), "US-FL US-WA".to_owned());
    assert_eq!(seen(Placing::Strictest), both);
    assert_eq!(Placing::default(), Placing::Strictest);
}

#[test]
fn zone_of_the_client_narrows_or_adds_as_the_method_says() {
    let hint = Hint { zone: Zone::named("America/Chicago"), ..Hint::NONE };
    let seen = |number: &str, placing| names(&place(number, &hint, placing)).join(" ");
    assert_eq!(seen("850 555 1234", Placing::Region), "America/Chicago");
    assert_eq!(seen("850 555 1234", Placing::AreaCode), "America/Chicago America/New_York");
    assert_eq!(seen("617 555 1234", Placing::Strictest), "America/Chicago America/New_York");
    // The region stays the number's: its state's rules hold by the clock that was given.
    assert_eq!(regions(&place("850 555 1234", &hint, Placing::Region)), ["US-FL"]);
}

#[test]
fn what_the_client_gives_and_nobody_knows_is_told_and_the_area_code_taken() {
    let hint = Hint {
        postal_code: Some("00000 and much more text than a code has".into()),
        region: "US-ZZ".parse().ok(),
        ..Hint::NONE
    };
    let seen = place("617 555 1234", &hint, Placing::Strictest);
    assert_eq!(seen.unknown, ["postal code 00000 and much more ", "region US-ZZ"]);
    assert_eq!(names(&seen), ["America/New_York"]);
    let seen = place("617 555 1234", &hint, Placing::Region);
    assert_eq!(
        (names(&seen), seen.evidence.clone()),
        (vec!["America/New_York"], vec![Evidence::AreaCode])
    );
}

#[test]
fn postal_codes_of_canada_and_the_united_states_are_not_mixed() {
    let seen = |number: &str, code: &str| {
        let hint = Hint { postal_code: Some(code.into()), ..Hint::NONE };
        regions(&place(number, &hint, Placing::PostalCode))
    };
    assert_eq!(seen("+1 416 555 1234", "v6b 1a1"), ["CA-BC"]);
    assert_eq!(seen("+1 212 555 1234", "V6B 1A1"), ["US-NY"], "falls back to the area code");
    assert_eq!(seen("+1 212 555 1234", "06390"), ["US-NY"]);
    assert_eq!(seen("+1 212 555 1234", "06103-1234"), ["US-CT"]);
}

#[test]
fn what_has_no_place_is_at_home() {
    let extension = Canonical::of("2001", Country::US);
    let denver = Home { country: Country::US, zone: Zone::named("America/Denver") };
    let seen = Atlas::built_in().place(&extension, &Hint::NONE, Placing::default(), &denver);
    assert_eq!(
        (names(&seen), seen.evidence.clone()),
        (vec!["America/Denver"], vec![Evidence::Home])
    );
    let anywhere = Atlas::built_in().place(&extension, &Hint::NONE, Placing::default(), &home());
    assert_eq!(anywhere.zones.len(), 8);
    let nowhere = Home { country: "ZZ".parse().unwrap(), zone: None };
    let seen = Atlas::built_in().place(&extension, &Hint::NONE, Placing::default(), &nowhere);
    assert_eq!(names(&seen), ["UTC"]);
}

#[test]
fn regions_are_found_by_code_and_by_name() {
    let atlas = Atlas::built_in();
    let found = |text: &str| atlas.region(Country::US, text).map(|region| region.to_string());
    let florida = Some("US-FL".to_owned());
    for text in ["FL", "fl", "US-FL", "Florida", " florida "] {
        assert_eq!(found(text), florida, "{text}");
    }
    assert_eq!(found("ZZ"), None);
    assert_eq!(atlas.region(Country::CA, "Ontario").unwrap().to_string(), "CA-ON");
}

#[test]
fn file_in_the_form_of_libphonenumber_adds_rows_and_replaces_them() {
    let text = "version: 2026-12-01\nsource: ours\n# a comment\n1850|America/Chicago\n\
                1850222|America/New_York\n1208|America/Boise&America/Los_Angeles\n";
    let atlas = Atlas::built_in().clone().with_prefixes("ours", text).unwrap();
    let zones = |digits| atlas.zones_by_prefix(digits).unwrap().len();
    assert_eq!([zones("18505551234"), zones("18502225123"), zones("12085551234")], [1, 1, 2]);
    assert_eq!(atlas.provenance().len(), 5);
    for row in
        ["1850", "0850|America/Chicago", "1850|Mars/Olympus", "x|UTC", "1234567890|UTC", "1|"]
    {
        let text = format!("version: 1\nsource: x\n{row}");
        let error = Atlas::built_in().clone().with_prefixes("ours", &text).unwrap_err();
        assert_eq!(error.line, 3, "{row}");
    }
}

#[test]
fn five_hundred_numbers_are_where_they_are_known_to_be() {
    let mut seen = 0;
    for row in include_str!("known-numbers.txt").lines().filter(|row| !row.starts_with('#')) {
        let [number, country, region, zones] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let canonical = Canonical::of(number, Country::US);
        let found = place(number, &Hint::NONE, Placing::default());
        assert_eq!(canonical.validity(), Validity::Valid, "{row}");
        assert_eq!(
            canonical.country().map(|found| found.to_string()),
            Some(country.into()),
            "{row}"
        );
        assert_eq!(regions(&found).join(" "), region, "{row}");
        assert_eq!(names(&found).join(" "), zones, "{row}");
        assert_ne!(canonical.kind(), NumberKind::Private);
        seen += 1;
    }
    assert!(seen >= 500, "{seen}");
}

proptest! {
    #[test]
    fn whatever_is_dialed_and_said_has_a_zone(
        number in "\\+?[0-9]{1,16}|\\PC{0,20}",
        code in prop::option::of("\\PC{0,12}|[0-9]{5}"),
        placing in prop::sample::select(&Placing::ALL[..]),
    ) {
        let hint = Hint { postal_code: code, ..Hint::NONE };
        prop_assert!(!place(&number, &hint, placing).zones.is_empty());
    }

    #[test]
    fn strictest_is_never_wider_than_another_method(
        number in "[2-9][0-9]{2}2345678",
        code in "[0-9]{5}",
        placing in prop::sample::select(&Placing::ALL[..]),
    ) {
        let hint = Hint { postal_code: Some(code), ..Hint::NONE };
        let strictest = place(&number, &hint, Placing::Strictest);
        let other = place(&number, &hint, placing);
        prop_assert!(other.zones.iter().all(|zone| strictest.zones.contains(zone)));
        prop_assert!(other.regions.iter().all(|region| strictest.regions.contains(region)));
    }
}
