//! Who is shown as calling: the contact's own caller ID, or one of a pool.
//!
//! A pool's choice is the same for the same callee on the same day, so that whoever missed a call
//! sees one number and not five.

use crate::number::canonical::Canonical;
use crate::region::Country;

/// Most caller IDs of a pool.
pub const POOL_MAX: usize = 500;

/// Caller IDs that a campaign may show.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CallerIds {
    /// The numbers, as they are shown; none: the trunk's own, or the contact's.
    pub numbers: Vec<String>,
    /// Whether a number with the callee's area code goes before the others.
    pub local_presence: bool,
    /// Most calls that show one number on one day (UTC); no limit without it.
    pub calls_a_day_max: Option<u32>,
}

/// A caller ID for one call, or none left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Every number of the pool was shown as often as it may be today.
    NoneLeft,
    /// This one is shown.
    Number(String),
    /// None is said: the trunk shows its own.
    Trunk,
}

impl CallerIds {
    /// Chooses for a callee; `uses` says how often a number was shown today.
    pub fn choose(
        &self,
        callee: &Canonical,
        home: Country,
        mut uses: impl FnMut(&str) -> u32,
    ) -> Shown {
        if self.numbers.is_empty() {
            return Shown::Trunk;
        }
        let numbers = &self.numbers;
        let near = |number: &&String| {
            let own = Canonical::of(number, home);
            own.country() == callee.country() && own.area_code() == callee.area_code()
        };
        let has_area = self.local_presence && callee.area_code().is_some();
        let local: Vec<&String> = numbers.iter().filter(|n| has_area && near(n)).collect();
        let rest: Vec<&String> = numbers.iter().filter(|n| !local.contains(n)).collect();
        for part in [local, rest] {
            let begin = place(callee.key(), part.len());
            for nth in 0..part.len() {
                let number = part[(begin + nth) % part.len()];
                let is_free = self.calls_a_day_max.is_none_or(|most| uses(number) < most);
                if is_free {
                    return Shown::Number(number.clone());
                }
            }
        }
        Shown::NoneLeft
    }
}

/// Where a callee's choice begins among `many`: spread evenly, the same each time (FNV-1a).
fn place(key: &str, many: usize) -> usize {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let many = u64::try_from(many.max(1)).unwrap_or(1);
    usize::try_from(hash % many).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(numbers: &[&str]) -> CallerIds {
        CallerIds {
            numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
            local_presence: true,
            calls_a_day_max: Some(2),
        }
    }

    fn shown(pool: &CallerIds, callee: &str, used: &[&str]) -> Shown {
        let uses = |number: &str| if used.contains(&number) { 2 } else { 0 };
        pool.choose(&Canonical::of(callee, Country::US), Country::US, uses)
    }

    #[test]
    fn number_with_the_callees_area_code_is_shown_first() {
        let pool = pool(&["+12122530001", "+16172530001", "+13052530001"]);
        assert_eq!(shown(&pool, "6172539999", &[]), Shown::Number("+16172530001".into()));
        assert_eq!(shown(&pool, "2122539999", &[]), Shown::Number("+12122530001".into()));
    }

    #[test]
    fn callee_without_a_neighbour_sees_the_same_number_each_time() {
        let pool = pool(&["+12122530001", "+16172530001", "+13052530001"]);
        let first = shown(&pool, "+17022539999", &[]);
        assert!(matches!(first, Shown::Number(_)));
        assert_eq!(shown(&pool, "+17022539999", &[]), first);
    }

    #[test]
    fn number_that_was_shown_often_enough_today_gives_way() {
        let pool = pool(&["+16172530001", "+12122530001"]);
        let next = shown(&pool, "6172539999", &["+16172530001"]);
        assert_eq!(next, Shown::Number("+12122530001".into()));
        let none = shown(&pool, "6172539999", &["+16172530001", "+12122530001"]);
        assert_eq!(none, Shown::NoneLeft);
    }

    #[test]
    fn campaign_without_a_pool_leaves_it_to_the_trunk() {
        assert_eq!(shown(&CallerIds::default(), "6172539999", &[]), Shown::Trunk);
    }

    #[test]
    fn many_callees_spread_over_the_pool() {
        let pool = pool(&["+12122530001", "+16172530001", "+13052530001", "+14152530001"]);
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for callee in 0..1_000 {
            if let Shown::Number(number) = shown(&pool, &format!("+1702253{callee:04}"), &[]) {
                *counts.entry(number).or_default() += 1;
            }
        }
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|count| (150..350).contains(count)), "{counts:?}");
    }
}
