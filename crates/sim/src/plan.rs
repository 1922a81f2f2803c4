//! What a seed makes of a day: accounts, campaigns with their rules, contacts, callees and troubles.

use std::time::Duration;

use domain::calling_hours::Hours;
use domain::caps::Limit;
use domain::gate::Limits;
use domain::policy::CampaignPolicy;
use domain::terms::Priority;
use domain::time::{DialWindow, Timestamp};
use domain::trunk::TrunkLimits;

use crate::chance::Chance;

/// Days on which clocks change, and some others: 2026-03-08, 2026-11-01, 2026-07-04, 2026-01-14.
const DAYS: [i64; 4] = [1_772_928_000, 1_793_491_200, 1_783_123_200, 1_768_348_800];
/// Area codes in six zones, some of which span two.
const AREA_CODES: [&str; 8] = ["212", "312", "303", "213", "907", "808", "850", "602"];

/// A day, as its seed wants it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When it begins.
    pub begins: Timestamp,
    /// Accounts.
    pub accounts: u32,
    /// Campaigns, each with its account, counted from 0, and its policy.
    pub campaigns: Vec<(u32, CampaignPolicy)>,
    /// Trunks.
    pub trunks: Vec<TrunkLimits>,
    /// Contacts and when they are queued.
    pub contacts: Vec<PlannedContact>,
    /// What goes wrong, and when.
    pub troubles: Vec<(Timestamp, Trouble)>,
    /// Share of INVITEs that nobody answers, in percent.
    pub loss_percent: u64,
    /// How long nobody answers before it is told.
    pub ring_time_max: Duration,
}

/// A contact of the day.
#[derive(Clone, Debug)]
pub struct PlannedContact {
    /// When it is queued.
    pub at: Timestamp,
    /// Its campaign, counted from 0.
    pub campaign: usize,
    /// Digits.
    pub number: String,
    /// How often it may be dialed.
    pub attempts_max: u32,
    /// How long to wait in between.
    pub wait: Duration,
    /// When it may be dialed.
    pub window: DialWindow,
    /// Its urgency.
    pub priority: Priority,
    /// Whether somebody wants to be told.
    pub is_told: bool,
}

/// Something that goes wrong, or that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The client cancels a contact, counted from 0.
    Cancel(usize),
    /// The process dies, and the next one is up after this time.
    Crash(Duration),
    /// Somebody opts out whose contact this is, counted from 0.
    OptOut(usize),
    /// The store answers nothing for this time.
    StoreAway(Duration),
    /// A campaign, counted from 0, is stopped for this time.
    Stop(usize, Duration),
    /// Everything is suspended for this time.
    Suspend(Duration),
}

impl Plan {
    /// The day of this seed.
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let chance = &mut chance;
        let begins = Timestamp::from_seconds(chance.one_of(&DAYS));
        let accounts = u32::try_from(chance.between(1, 3)).unwrap_or(1);
        let campaigns: Vec<_> = (0..chance.between(1, 5))
            .map(|_| {
                (u32::try_from(chance.below(accounts.into())).unwrap_or(0), policy(chance, begins))
            })
            .collect();
        let limit = |chance: &mut Chance, most| u32::try_from(chance.between(1, most)).unwrap_or(1);
        let trunks = (0..chance.between(1, 2))
            .map(|_| TrunkLimits { slots: limit(chance, 8), calls_per_second: limit(chance, 5) })
            .collect();
        let contacts: Vec<_> =
            (0..chance.between(5, 60)).map(|_| contact(chance, begins, campaigns.len())).collect();
        let troubles = (0..chance.below(8))
            .map(|_| (moment(chance, begins), trouble(chance, contacts.len(), campaigns.len())))
            .collect();
        Self {
            begins,
            accounts,
            campaigns,
            trunks,
            contacts,
            troubles,
            loss_percent: chance.one_of(&[0, 0, 5, 20]),
            ring_time_max: Duration::from_secs(chance.between(15, 60)),
        }
    }
}

fn moment(chance: &mut Chance, begins: Timestamp) -> Timestamp {
    begins + Duration::from_millis(chance.below(86_400_000))
}

fn policy(chance: &mut Chance, begins: Timestamp) -> CampaignPolicy {
    let mut caps = Vec::new();
    if chance.percent(40) {
        let at_least = Duration::from_secs(chance.between(60, 14_400));
        caps.push(Limit::Gap { at_least });
    }
    if chance.percent(40) {
        let calls_max = u32::try_from(chance.between(1, 3)).unwrap_or(1);
        let within = Duration::from_secs(chance.between(3_600, 86_400));
        caps.push(Limit::Calls { calls_max, within });
    }
    let number = |chance: &mut Chance, most| u32::try_from(chance.between(1, most)).ok();
    CampaignPolicy {
        weight: number(chance, 5).unwrap_or(1),
        window: if chance.percent(20) { window(chance, begins) } else { DialWindow::ALWAYS },
        hours: chance.percent(20).then(|| Hours::parse("mon-sun 10:00-18:00").ok()).flatten(),
        hours_of_law: chance.percent(60),
        caps,
        limits: Limits {
            calls_max: if chance.percent(30) { number(chance, 4) } else { None },
            calls_per_second: if chance.percent(30) { number(chance, 3) } else { None },
        },
        ..CampaignPolicy::default()
    }
}

fn window(chance: &mut Chance, begins: Timestamp) -> DialWindow {
    let opens_at = moment(chance, begins);
    let closes_at = opens_at + Duration::from_secs(chance.between(60, 43_200));
    DialWindow {
        opens_at: chance.percent(70).then_some(opens_at),
        closes_at: chance.percent(70).then_some(closes_at),
    }
}

fn contact(chance: &mut Chance, begins: Timestamp, campaigns: usize) -> PlannedContact {
    // Few numbers, so that campaigns meet at the same phone.
    let (area, line) = (chance.one_of(&AREA_CODES), chance.below(4));
    let form = chance.one_of(&["+1", "1", ""]);
    let priority = u8::try_from(chance.between(1, 10)).ok().and_then(Priority::new);
    PlannedContact {
        at: if chance.percent(50) { begins } else { moment(chance, begins) },
        campaign: usize::try_from(chance.below(campaigns as u64)).unwrap_or(0),
        number: format!("{form}{area}555010{line}"),
        attempts_max: u32::try_from(chance.between(1, 4)).unwrap_or(1),
        wait: Duration::from_secs(chance.between(60, 7_200)),
        window: if chance.percent(30) { window(chance, begins) } else { DialWindow::ALWAYS },
        priority: priority.unwrap_or_default(),
        is_told: chance.percent(80),
    }
}

fn trouble(chance: &mut Chance, contacts: usize, campaigns: usize) -> Trouble {
    let contact = usize::try_from(chance.below(contacts as u64)).unwrap_or(0);
    let campaign = usize::try_from(chance.below(campaigns as u64)).unwrap_or(0);
    let for_seconds = |chance: &mut Chance, most| Duration::from_secs(chance.between(1, most));
    match chance.below(8) {
        0 => Trouble::Cancel(contact),
        1 | 2 => Trouble::Crash(for_seconds(chance, 120)),
        3 => Trouble::OptOut(contact),
        4 | 5 => Trouble::StoreAway(for_seconds(chance, 300)),
        6 => Trouble::Stop(campaign, for_seconds(chance, 7_200)),
        _ => Trouble::Suspend(for_seconds(chance, 3_600)),
    }
}
