//! The ways to read a matched input, best first.
//!
//! The chart holds all of them at once. Costs say which is best (after Knuth's generalization of
//! Dijkstra's algorithm); a search from the end that is led by these costs finds the others in
//! their order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;

use super::chart::{Matcher, Reached, Ref};
use super::network::Cost;

/// One way to read an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Parse {
    pub(crate) marks: Vec<Mark>,
    pub(crate) cost: Cost,
}

/// What is passed on the way, in the order of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A rule ended, before word `at`.
    Close {
        at: u32,
    },
    /// A rule began, before word `at`, where `site` referred to it; the root has no site.
    Open {
        rule: u32,
        site: Option<u32>,
        at: u32,
    },
    Tag(u32),
    /// A token, whose last word is the one before `at`.
    Token {
        token: u32,
        at: u32,
    },
}

/// Steps of the search for readings; what is not found by then is left out.
const STEPS_MAX: usize = 50_000;

impl Parse {
    /// How this reading is weighed against others of the same input: the product of the weights
    /// of its alternatives, each relative to the best of its kind, and of the probabilities of
    /// its repeats; from 0 to 1.
    pub fn weight(&self) -> f64 {
        self.cost.to_weight()
    }
}

impl Matcher {
    /// Up to `most` ways to read the input, best first: by weight, then by the order of the
    /// document. None where the input is no match.
    pub fn parses(&self, most: usize) -> Vec<Parse> {
        let Some(whole) = self.whole() else {
            return Vec::new();
        };
        let best = Best::find(self, whole);
        let mut found = match most {
            0 => Vec::new(),
            1 => best.reading(self, whole).into_iter().collect(),
            _ => Search::new(self, &best, whole).run(most),
        };
        if found.is_empty() && most > 0 {
            found.extend(best.reading(self, whole));
        }
        found
    }

    /// Whether some ways to read the input were left out for their number.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The links of an item that count: what it costs, and what it comes from.
    fn ways(&self, item: Ref) -> impl Iterator<Item = (Reached, Cost)> {
        self.links_of(item).map(|link| (link.by, link.cost))
    }
}

/// What the best way to each item costs, and which it is.
struct Best {
    of: HashMap<Ref, (Cost, Reached)>,
}

impl Best {
    fn find(matcher: &Matcher, whole: Ref) -> Self {
        let (users, entries) = needed(matcher, whole);
        let mut best = Self { of: HashMap::new() };
        let mut waiting = BinaryHeap::new();
        for entry in entries {
            waiting.push(Reverse((Cost::FREE, Order(entry, Reached::Entry))));
        }
        while let Some(Reverse((cost, Order(item, by)))) = waiting.pop() {
            if best.of.contains_key(&item) {
                continue;
            }
            best.of.insert(item, (cost, by));
            for (user, by, edge) in users.get(&item).into_iter().flatten() {
                if best.of.contains_key(user) {
                    continue;
                }
                if let Some(before) = best.before(*by) {
                    waiting.push(Reverse((before.plus(*edge), Order(*user, *by))));
                }
            }
        }
        best
    }

    /// What it costs to come to where a link begins; nothing where that is not known yet.
    fn before(&self, by: Reached) -> Option<Cost> {
        let of = |item: Ref| self.of.get(&item).map(|(cost, _)| *cost);
        match by {
            Reached::Entry => Some(Cost::FREE),
            Reached::Step(before) | Reached::Tagged(before, _) | Reached::Told(before, _) => {
                of(before)
            }
            Reached::Called { caller, ended, .. } => Some(of(caller)?.plus(of(ended)?)),
        }
    }

    /// The best reading.
    fn reading(&self, matcher: &Matcher, whole: Ref) -> Option<Parse> {
        let (cost, _) = *self.of.get(&whole)?;
        let mut marks = Vec::new();
        let mut pending = vec![whole];
        opened(matcher, whole, None, &mut marks);
        while let Some(item) = pending.pop() {
            let (_, by) = *self.of.get(&item)?;
            match by {
                Reached::Entry => marks.push(entered(matcher, item)),
                Reached::Step(before) => pending.push(before),
                Reached::Tagged(before, tag) => {
                    marks.push(Mark::Tag(tag));
                    pending.push(before);
                }
                Reached::Told(before, token) => {
                    marks.push(Mark::Token { token, at: item.0 });
                    pending.push(before);
                }
                Reached::Called { caller, ended, site } => {
                    pending.push(caller);
                    opened(matcher, ended, Some(site), &mut marks);
                    pending.push(ended);
                }
            }
        }
        Some(Parse { marks: in_order(marks), cost })
    }
}

/// Items in an order that only needs to be the same every time.
#[derive(Clone, Copy, Debug)]
struct Order(Ref, Reached);

impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// For each item that a reading of the whole may pass: who is reached from it, how and for what;
/// and the items where rules are entered.
type Users = HashMap<Ref, Vec<(Ref, Reached, Cost)>>;

fn needed(matcher: &Matcher, whole: Ref) -> (Users, Vec<Ref>) {
    let mut users: Users = HashMap::new();
    let mut entries = Vec::new();
    let mut seen = std::collections::HashSet::from([whole]);
    let mut pending = vec![whole];
    while let Some(item) = pending.pop() {
        for (by, cost) in matcher.ways(item) {
            let sources: [Option<Ref>; 2] = match by {
                Reached::Entry => {
                    entries.push(item);
                    [None, None]
                }
                Reached::Step(before) | Reached::Tagged(before, _) | Reached::Told(before, _) => {
                    [Some(before), None]
                }
                Reached::Called { caller, ended, .. } => [Some(caller), Some(ended)],
            };
            for source in sources.into_iter().flatten() {
                users.entry(source).or_default().push((item, by, cost));
                if seen.insert(source) {
                    pending.push(source);
                }
            }
        }
    }
    (users, entries)
}

/// The marks of a rule's end; its `Open` is completed when its beginning is reached.
fn opened(matcher: &Matcher, ended: Ref, site: Option<u32>, marks: &mut Vec<Mark>) {
    let key = matcher.item(ended).key;
    marks.push(Mark::Close { at: ended.0 });
    // Kept for the way back: where the site is told is where the rule is opened.
    marks.push(Mark::Open { rule: key.rule, site, at: u32::MAX });
}

fn entered(matcher: &Matcher, item: Ref) -> Mark {
    let key = matcher.item(item).key;
    Mark::Open { rule: key.rule, site: None, at: item.0 }
}

/// Marks were found from the end; brings them into the order of the input. The site of a rule,
/// noted behind its end, moves to its beginning.
fn in_order(marks: Vec<Mark>) -> Vec<Mark> {
    let mut ordered = Vec::with_capacity(marks.len());
    let mut sites = Vec::new();
    for mark in marks {
        match mark {
            Mark::Open { site, at: u32::MAX, .. } => sites.push(site),
            Mark::Open { rule, at, .. } => {
                ordered.push(Mark::Open { rule, site: sites.pop().flatten(), at });
            }
            mark => ordered.push(mark),
        }
    }
    ordered.reverse();
    ordered
}

/// The search for more than the best.
struct Search<'m> {
    matcher: &'m Matcher,
    best: &'m Best,
    waiting: BinaryHeap<Way>,
    /// Counts ways, so that among equals the newest goes on and one is finished soon.
    made: usize,
}

/// A reading under way: what is settled, from the end, and what is still open.
struct Way {
    /// Of what is settled, and at least of what is open.
    estimate: Cost,
    settled: Cost,
    number: usize,
    open: Option<Rc<Frame>>,
    marks: Option<Rc<Marks>>,
}

/// A rule whose inside is to be found, back from an item.
struct Frame {
    item: Ref,
    /// Items passed since the last word; to come to one again would be to go in circles.
    passed: Option<Rc<Passed>>,
    /// Rules around this one that end where it ends.
    around: Option<Rc<Passed>>,
    next: Option<Rc<Self>>,
}

struct Passed {
    item: Ref,
    next: Option<Rc<Self>>,
}

struct Marks {
    mark: Mark,
    next: Option<Rc<Self>>,
}

/// Takes a chain apart link by link; left to itself it would do so by recursion, and chains are
/// as long as what was said.
macro_rules! unchain {
    ($chain:ty) => {
        impl Drop for $chain {
            fn drop(&mut self) {
                let mut next = self.next.take();
                while let Some(mut link) = next.and_then(Rc::into_inner) {
                    next = link.next.take();
                }
            }
        }
    };
}

unchain!(Frame);
unchain!(Marks);
unchain!(Passed);

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Way {}

impl PartialOrd for Way {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Way {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.estimate.cmp(&self.estimate).then(self.number.cmp(&other.number))
    }
}

fn includes(mut passed: &Option<Rc<Passed>>, item: Ref) -> bool {
    while let Some(there) = passed {
        if there.item == item {
            return true;
        }
        passed = &there.next;
    }
    false
}

impl<'m> Search<'m> {
    fn new(matcher: &'m Matcher, best: &'m Best, whole: Ref) -> Self {
        let mut search = Self { matcher, best, waiting: BinaryHeap::new(), made: 0 };
        let mut marks = None;
        let mut opening = Vec::new();
        opened(matcher, whole, None, &mut opening);
        for mark in opening {
            marks = Some(Rc::new(Marks { mark, next: marks }));
        }
        let around = Some(Rc::new(Passed { item: whole, next: None }));
        let frame = Frame { item: whole, passed: None, around, next: None };
        if let Some((estimate, _)) = best.of.get(&whole) {
            search.push(*estimate, Cost::FREE, Some(Rc::new(frame)), marks);
        }
        search
    }

    fn run(mut self, most: usize) -> Vec<Parse> {
        let mut found: Vec<Parse> = Vec::new();
        for _ in 0..STEPS_MAX {
            let Some(way) = self.waiting.pop() else {
                break;
            };
            let Some(frame) = way.open.clone() else {
                let parse = finished(&way);
                // Ways through the network may differ where readings do not.
                if found.iter().all(|other| other.marks != parse.marks) {
                    found.push(parse);
                }
                if found.len() >= most {
                    break;
                }
                continue;
            };
            let ways: Vec<(Reached, Cost)> = self.matcher.ways(frame.item).collect();
            // The one found first shall be the newest.
            for (by, cost) in ways.into_iter().rev() {
                self.go_on(&way, &frame, by, cost);
            }
        }
        found
    }

    fn go_on(&mut self, way: &Way, frame: &Rc<Frame>, by: Reached, edge: Cost) {
        let Some(ahead) = self.best.before(by) else {
            return;
        };
        let Some((own, _)) = self.best.of.get(&frame.item) else {
            return;
        };
        let settled = way.settled.plus(edge);
        // What was expected of this item gives way to what this link makes of it.
        let rest = Cost {
            weight: way.estimate.weight.saturating_sub(own.weight),
            order: way.estimate.order.saturating_sub(own.order),
        };
        let estimate = rest.plus(edge).plus(ahead);
        let noted = |mark| Some(Rc::new(Marks { mark, next: way.marks.clone() }));
        let item = frame.item;
        match by {
            Reached::Entry => {
                let marks = noted(entered(self.matcher, item));
                self.push(estimate, settled, frame.next.clone(), marks);
            }
            Reached::Step(before) => {
                let marks = way.marks.clone();
                self.step(frame, before, (estimate, settled), marks);
            }
            Reached::Tagged(before, tag) => {
                self.step(frame, before, (estimate, settled), noted(Mark::Tag(tag)));
            }
            Reached::Told(before, token) => {
                let marks = noted(Mark::Token { token, at: item.0 });
                self.step(frame, before, (estimate, settled), marks);
            }
            Reached::Called { caller, ended, site } => {
                self.call(way, frame, (caller, ended, site), (estimate, settled));
            }
        }
    }

    fn step(
        &mut self,
        frame: &Rc<Frame>,
        before: Ref,
        (estimate, settled): (Cost, Cost),
        marks: Option<Rc<Marks>>,
    ) {
        if let Some(frame) = back(frame, before) {
            self.push(estimate, settled, Some(Rc::new(frame)), marks);
        }
    }

    fn call(
        &mut self,
        way: &Way,
        frame: &Rc<Frame>,
        (caller, ended, site): (Ref, Ref, u32),
        (estimate, settled): (Cost, Cost),
    ) {
        let Some(outer) = back(frame, caller) else {
            return;
        };
        // A rule that holds itself, and nothing besides, is read in circles.
        let began = self.matcher.item(frame.item).key.origin;
        let alone = self.matcher.item(ended).key.origin == began;
        let around = match alone {
            true => frame.around.clone(),
            false => None,
        };
        if includes(&around, ended) {
            return;
        }
        let around = Some(Rc::new(Passed { item: ended, next: around }));
        let inner = Frame { item: ended, passed: None, around, next: Some(Rc::new(outer)) };
        let mut marks = way.marks.clone();
        let mut opening = Vec::new();
        opened(self.matcher, ended, Some(site), &mut opening);
        for mark in opening {
            marks = Some(Rc::new(Marks { mark, next: marks }));
        }
        self.push(estimate, settled, Some(Rc::new(inner)), marks);
    }

    fn push(
        &mut self,
        estimate: Cost,
        settled: Cost,
        open: Option<Rc<Frame>>,
        marks: Option<Rc<Marks>>,
    ) {
        self.made += 1;
        self.waiting.push(Way { estimate, settled, number: self.made, open, marks });
    }
}

/// The frame, one item back; nothing where that would be to go in circles.
fn back(frame: &Rc<Frame>, before: Ref) -> Option<Frame> {
    let passed = match before.0 == frame.item.0 {
        true => Some(Rc::new(Passed { item: frame.item, next: frame.passed.clone() })),
        false => None,
    };
    if includes(&passed, before) {
        return None;
    }
    Some(Frame { item: before, passed, around: frame.around.clone(), next: frame.next.clone() })
}

fn finished(way: &Way) -> Parse {
    let mut marks = Vec::new();
    let mut next = &way.marks;
    while let Some(there) = next {
        marks.push(there.mark);
        next = &there.next;
    }
    // They are chained from the last to be found; in_order wants the first.
    marks.reverse();
    Parse { marks: in_order(marks), cost: way.settled }
}
