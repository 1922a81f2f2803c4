//! Places of numbers.
use super::*;

fn home() -> Home {
    Home { country: Country::US, zone: None }
}

fn place(number: &str, hint: &Hint, placing: Placing) -> Place {
    Atlas::built_in().place(&Canonical::of(number, Country::US), hint, placing, &home())
}

fn zones(number: &str) -> Vec<String> {
    let place = place(number, &Hint::NONE, Placing::default());
    place.zones.iter().map(|zone| zone.name().to_owned()).collect()
}

#[test]
fn every_shipped_table_is_read() {
    assert_eq!(Atlas::built_in().provenance().len(), 4);
}

#[test]
fn area_code_tells_the_zones() {
    assert_eq!(zones("617 555 1234"), ["America/New_York"]);
    assert_eq!(zones("850 555 1234"), ["America/Chicago", "America/New_York"]);
}
