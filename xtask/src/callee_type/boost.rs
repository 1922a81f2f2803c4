//! Gradient boosting of symmetric trees, whose features may be bound to one direction.

use media::classify::{DEPTH, FEATURE_DIRECTIONS, FEATURES, Features, LEAVES, Tree};

use super::random::Random;

/// Borders that a feature is cut at, at most.
const BORDERS: usize = 40;
/// Part of the features that a tree may ask for.
const FEATURES_A_TREE: usize = FEATURES - 2;

/// How to train.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Number of trees.
    pub(super) trees: usize,
    /// How much of a tree's answer is taken.
    pub(super) rate: f32,
    /// What is added to the weight of a leaf, so that a few recordings cannot fill one.
    pub(super) regular: f32,
    /// Part of the recordings that a tree is made from.
    pub(super) part: f32,
    /// Where chance begins.
    pub(super) seed: u64,
}

/// One moment of one recording.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// What the model sees.
    pub(super) features: Features,
    /// Whether a machine speaks.
    pub(super) is_machine: bool,
    /// How much it counts.
    pub(super) weight: f32,
    /// The recordings that must be taken or left together.
    pub(super) group: u32,
    /// The clip it is a moment of.
    pub(super) clip: u32,
}

/// Samples by feature and border, which is all that training looks at.
struct Binned {
    borders: Vec<Vec<f32>>,
    bins: Vec<Vec<u8>>,
}

impl Binned {
    fn of(samples: &[Sample]) -> Self {
        let mut borders = Vec::new();
        let mut bins = Vec::new();
        for feature in 0..FEATURES {
            let mut values: Vec<f32> = samples.iter().map(|s| s.features[feature]).collect();
            values.sort_by(f32::total_cmp);
            let mut cuts: Vec<f32> = (1..=BORDERS)
                .map(|nth| values[nth * (values.len() - 1) / (BORDERS + 1)])
                .map(|value| (value * 1_000.0).round() / 1_000.0)
                .collect();
            cuts.dedup();
            let bin = |s: &Sample| cuts.partition_point(|cut| *cut < s.features[feature]) as u8;
            bins.push(samples.iter().map(bin).collect());
            borders.push(cuts);
        }
        Self { borders, bins }
    }
}

/// Gradient and curvature of some samples.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    gradient: f64,
    curvature: f64,
}

impl Sum {
    fn gain(self, regular: f64) -> f64 {
        self.gradient * self.gradient / (self.curvature + regular)
    }

    fn value(self, regular: f64) -> f64 {
        -self.gradient / (self.curvature + regular)
    }

    fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            curvature: self.curvature - other.curvature,
        }
    }
}

/// Trees whose answers add up to the log odds of a machine, after `base`.
pub(super) fn train(samples: &[Sample], plan: Plan) -> (Vec<Tree>, f32) {
    let binned = Binned::of(samples);
    let mut random = Random::new(plan.seed);
    let total: f64 = samples.iter().map(|s| f64::from(s.weight)).sum();
    let machines =
        samples.iter().filter(|s| s.is_machine).map(|s| f64::from(s.weight)).sum::<f64>();
    let base = (machines / (total - machines)).ln() as f32;
    let groups = samples.iter().map(|s| s.group).max().unwrap_or_default() as usize + 1;
    let mut margins = vec![base; samples.len()];
    let mut trees = Vec::new();
    for _ in 0..plan.trees {
        let taken: Vec<bool> = (0..groups).map(|_| random.share() < plan.part).collect();
        let mut order: Vec<usize> = (0..FEATURES).collect();
        random.shuffle(&mut order);
        let allowed = &order[..FEATURES_A_TREE];
        let gradients: Vec<Sum> = samples
            .iter()
            .zip(&margins)
            .map(|(sample, margin)| {
                if !taken[sample.group as usize] {
                    return Sum::default();
                }
                let chance = 1.0 / (1.0 + f64::from(-margin).exp());
                let weight = f64::from(sample.weight);
                let off = chance - f64::from(u8::from(sample.is_machine));
                Sum { gradient: weight * off, curvature: weight * chance * (1.0 - chance) }
            })
            .collect();
        let (tree, leaves) = grow(&binned, &gradients, allowed, plan);
        for (margin, leaf) in margins.iter_mut().zip(&leaves) {
            *margin += tree.leaves[usize::from(*leaf)];
        }
        trees.push(tree);
    }
    (trees, base)
}

/// One tree, and the leaf of each sample.
fn grow(binned: &Binned, gradients: &[Sum], allowed: &[usize], plan: Plan) -> (Tree, Vec<u8>) {
    let regular = f64::from(plan.regular);
    let mut leaves = vec![0u8; gradients.len()];
    let mut questions: Vec<(usize, usize)> = Vec::new();
    for level in 0..DEPTH {
        let count = 1 << level;
        let mut best: Option<(f64, usize, usize)> = None;
        for feature in allowed {
            let cuts = binned.borders[*feature].len();
            let mut table = vec![Sum::default(); count * (cuts + 1)];
            for ((bin, leaf), sum) in binned.bins[*feature].iter().zip(&leaves).zip(gradients) {
                let slot = &mut table[usize::from(*leaf) * (cuts + 1) + usize::from(*bin)];
                slot.gradient += sum.gradient;
                slot.curvature += sum.curvature;
            }
            for cut in 0..cuts {
                let (gain, sums) = split(&table, count, cuts, cut, regular);
                let mut asked = questions.clone();
                asked.push((*feature, cut));
                let may = best.is_none_or(|(most, ..)| gain > most);
                if may && keeps_directions(&asked, &sums, regular) {
                    best = Some((gain, *feature, cut));
                }
            }
        }
        let (feature, cut) = best.map_or((allowed[0], 0), |(_, feature, cut)| (feature, cut));
        questions.push((feature, cut));
        for (leaf, bin) in leaves.iter_mut().zip(&binned.bins[feature]) {
            *leaf |= u8::from(usize::from(*bin) > cut) << level;
        }
    }
    let mut sums = [Sum::default(); LEAVES];
    for (leaf, sum) in leaves.iter().zip(gradients) {
        sums[usize::from(*leaf)].gradient += sum.gradient;
        sums[usize::from(*leaf)].curvature += sum.curvature;
    }
    let value = |sum: Sum| ((sum.value(regular) as f32 * plan.rate) * 1e4).round() / 10_000.0;
    let mut tree = Tree { features: [0; DEPTH], thresholds: [0.0; DEPTH], leaves: sums.map(value) };
    for (level, (feature, cut)) in questions.iter().enumerate() {
        tree.features[level] = *feature as u8;
        tree.thresholds[level] = binned.borders[*feature][*cut];
    }
    (tree, leaves)
}

/// What a question gains in all leaves, and the sums of the leaves after it.
fn split(table: &[Sum], count: usize, cuts: usize, cut: usize, regular: f64) -> (f64, Vec<Sum>) {
    let mut sums = vec![Sum::default(); count * 2];
    let mut gain = 0.0;
    for leaf in 0..count {
        let row = &table[leaf * (cuts + 1)..(leaf + 1) * (cuts + 1)];
        let add = |sums: Sum, slot: &Sum| Sum {
            gradient: sums.gradient + slot.gradient,
            curvature: sums.curvature + slot.curvature,
        };
        let whole = row.iter().fold(Sum::default(), add);
        let no = row[..=cut].iter().fold(Sum::default(), add);
        let yes = whole.minus(no);
        gain += no.gain(regular) + yes.gain(regular) - whole.gain(regular);
        (sums[leaf], sums[leaf + count]) = (no, yes);
    }
    (gain, sums)
}

/// Whether no feature moves the answer against its direction.
fn keeps_directions(asked: &[(usize, usize)], sums: &[Sum], regular: f64) -> bool {
    asked.iter().enumerate().all(|(level, (feature, _))| {
        let direction = f64::from(FEATURE_DIRECTIONS[*feature]);
        direction == 0.0
            || (0..sums.len()).filter(|leaf| leaf & (1 << level) == 0).all(|leaf| {
                let (no, yes) = (sums[leaf], sums[leaf | (1 << level)]);
                direction * (yes.value(regular) - no.value(regular)) >= -1e-9
            })
    })
}
