//! A large list and a small one that comes minutes later: how the slots are dealt, told and drawn.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use domain::dial_queue::{Demand, Room, Sharing, Turns, deal};
use domain::ids::{AccountId, CampaignId, TrunkId};

/// Contacts of the large list, queued at the beginning.
const LARGE: u32 = 10_000;
/// Contacts of the small list.
const SMALL: u32 = 100;
/// Minute in which the small list comes.
const COMES: u32 = 3;
/// Contacts that are dialed in a minute.
const PACE: u32 = 30;
/// Minutes that are shown.
const MINUTES: u32 = 15;
const FIRST: CampaignId = CampaignId(1);
const SECOND: CampaignId = CampaignId(2);

/// Contacts dialed of both lists by the end of each minute.
fn story() -> Vec<(u32, u32)> {
    let mut turns = Turns::default();
    let mut waiting = BTreeMap::from([(FIRST, LARGE)]);
    let mut dialed = BTreeMap::from([(FIRST, 0), (SECOND, 0)]);
    let mut told = Vec::new();
    for minute in 0..MINUTES {
        if minute == COMES {
            waiting.insert(SECOND, SMALL);
        }
        // A slot becomes free every two seconds.
        for _ in 0..PACE {
            let demand = |(campaign, ready): (&CampaignId, &u32)| {
                Demand::new(AccountId(1), *campaign, *ready)
            };
            let demands: Vec<Demand> = waiting.iter().map(demand).collect();
            let mut slots = 1;
            let shares = deal(&mut turns, &demands, Sharing::BY_WEIGHT, |_| match slots {
                0 => Room::Over,
                _ => {
                    slots -= 1;
                    Room::Slot(TrunkId(1))
                }
            });
            for share in shares {
                *waiting.get_mut(&share.campaign).unwrap() -= share.trunks.len() as u32;
                *dialed.get_mut(&share.campaign).unwrap() += share.trunks.len() as u32;
            }
        }
        told.push((dialed[&FIRST], dialed[&SECOND]));
    }
    told
}

#[test]
fn small_list_queued_later_is_served_evenly_until_it_is_done() {
    let story = story();
    // Before it comes the large list has every slot, then each has half, then it has every slot.
    let steps: Vec<(u32, u32)> = (1..story.len())
        .map(|n| (story[n].0 - story[n - 1].0, story[n].1 - story[n - 1].1))
        .collect();
    assert_eq!(steps[..2], [(30, 0); 2]);
    assert_eq!(steps[2..8], [(15, 15); 6]);
    // Ten more of the small one, and it is done.
    assert_eq!(steps[8..10], [(20, 10), (30, 0)]);
    assert_eq!(story.last(), Some(&(MINUTES * PACE - SMALL, SMALL)));
}

#[test]
fn picture_in_the_docs_is_what_happens() {
    let drawn = draw(&story());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fairness.svg");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == drawn, "docs/fairness.svg is not what happens: run with UPDATE_GOLDEN=1");
}

/// Draws the minutes as a picture of 640 by 330.
fn draw(story: &[(u32, u32)]) -> String {
    let most = story.iter().map(|told| told.0.max(told.1)).max().unwrap_or(1);
    let x = |minute: u32| 60.0 + 560.0 * f64::from(minute) / f64::from(MINUTES);
    let y = |contacts: u32| 280.0 - 240.0 * f64::from(contacts) / f64::from(most.max(1));
    let line = |of: &dyn Fn(&(u32, u32)) -> u32| {
        let mut points = format!("{:.1},{:.1}", x(0), y(0));
        for (minute, told) in (1..).zip(story) {
            write!(points, " {:.1},{:.1}", x(minute), y(of(told))).unwrap();
        }
        points
    };
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 330\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Contacts dialed of a list of 10,000 and of one of 100 that comes later</title>\n\
         <rect width=\"640\" height=\"330\" fill=\"#fff\"/>\n",
    );
    for minute in (0..=MINUTES).step_by(3) {
        let x = x(minute);
        writeln!(svg, "<path d=\"M{x:.1} 40V280\" stroke=\"#ddd\"/>").unwrap();
        writeln!(svg, "<text x=\"{x:.1}\" y=\"298\" text-anchor=\"middle\">{minute}</text>")
            .unwrap();
    }
    for contacts in (0..=most).step_by(100) {
        let y = y(contacts);
        writeln!(svg, "<path d=\"M60 {y:.1}H620\" stroke=\"#ddd\"/>").unwrap();
        let text = y + 4.0;
        writeln!(svg, "<text x=\"52\" y=\"{text:.1}\" text-anchor=\"end\">{contacts}</text>")
            .unwrap();
    }
    for (points, color) in [(line(&|told| told.0), "#06c"), (line(&|told| told.1), "#c40")] {
        writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"
        )
        .unwrap();
    }
    svg.push_str(
        "<text x=\"70\" y=\"24\" fill=\"#06c\">contacts dialed of 10,000, queued at 0</text>\n\
         <text x=\"330\" y=\"24\" fill=\"#c40\">contacts dialed of 100, queued at 3</text>\n\
         <text x=\"340\" y=\"320\" text-anchor=\"middle\">minutes, at 30 calls a minute</text>\n\
         </svg>\n",
    );
    svg
}
