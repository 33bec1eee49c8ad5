//! Random requests and policies, owned, so that many can be made from seeds.

use dhow_ranking::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A request with what it borrows.
#[derive(Debug, Clone)]
pub struct Case {
    pub count: usize,
    pub candidates: Vec<Candidate>,
    pub offers: Vec<Offer>,
    pub budgets_minor: Vec<i64>,
    pub seen: Vec<u32>,
    pub excluded: Vec<u32>,
    pub price_band: Option<PriceBand>,
    pub max_per_seller: Option<usize>,
    pub max_per_category: Option<usize>,
    pub category_caps: Vec<CategoryCap>,
    pub out_of_stock: Vec<u32>,
    pub seed: u64,
    pub policy: Policy,
}

/// An arbitrary symmetric similarity; a few pairs are not a number, below 0 or above 1.
pub fn similarity(a: u32, b: u32) -> f64 {
    let mixed = (u64::from(a.min(b)) * 7919 + u64::from(a.max(b)) * 104_729) % 23;
    match mixed {
        0 => f64::NAN,
        1 => -0.5,
        2 => 1.5,
        n => n as f64 / 22.0,
    }
}

impl Case {
    /// Asks for the slate.
    pub fn arrange(&self, scratch: &mut Scratch) -> Arranged {
        self.arrange_with_seed(self.seed, scratch)
    }

    pub fn arrange_with_seed(&self, seed: u64, scratch: &mut Scratch) -> Arranged {
        let eligible = |item: u32| !self.out_of_stock.contains(&item);
        let request = Request {
            count: self.count,
            candidates: &self.candidates,
            offers: &self.offers,
            campaign_budgets_minor: &self.budgets_minor,
            rules: Rules {
                seen: &self.seen,
                excluded: &self.excluded,
                price_band: self.price_band,
                max_per_seller: self.max_per_seller,
                max_per_category: self.max_per_category,
                category_caps: &self.category_caps,
            },
            eligible: &eligible,
            similarity: Some(&similarity),
            seed,
        };
        arrange(&request, &self.policy, scratch).unwrap()
    }

    /// Why this item may not be shown, whatever else is.
    pub fn is_barred(&self, candidate: &Candidate) -> bool {
        self.seen.contains(&candidate.item)
            || self.excluded.contains(&candidate.item)
            || self.out_of_stock.contains(&candidate.item)
            || !candidate.score.is_finite()
            || self
                .price_band
                .is_some_and(|b| candidate.price_minor < b.from_minor || candidate.price_minor > b.to_minor)
    }

    pub fn category_cap(&self, category: u32) -> usize {
        let own = self.category_caps.iter().filter(|cap| cap.category == category).map(|cap| cap.at_most).min();
        own.or(self.max_per_category).unwrap_or(usize::MAX)
    }

    pub fn seller_cap(&self) -> usize {
        self.max_per_seller.unwrap_or(usize::MAX)
    }
}

/// A case of up to `candidates_max` candidates; all rules and policies come up, ties and duplicates too.
pub fn case(seed: u64, candidates_max: u32) -> Case {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let items = candidates_max + candidates_max / 4;
    let (sellers, categories) = (random.random_range(1..=6), random.random_range(1..=5));
    let small_from = random.random_range(0..=sellers);
    let candidate = |random: &mut ChaCha8Rng| {
        let item = random.random_range(0..items);
        let seller = random.random_range(0..sellers);
        let score = if random.random_bool(0.02) { f64::NAN } else { f64::from(random.random_range(-6..6)) / 4.0 };
        Candidate {
            item,
            score,
            seller,
            category: random.random_range(0..categories),
            price_minor: random.random_range(0..1_000),
            small_seller: seller >= small_from,
        }
    };
    let candidates: Vec<Candidate> =
        (0..random.random_range(0..=candidates_max)).map(|_| candidate(&mut random)).collect();
    let offers: Vec<Offer> = (0..random.random_range(0..5))
        .map(|_| Offer {
            candidate: candidate(&mut random),
            campaign: random.random_range(0..3),
            bid_minor: random.random_range(0..20),
        })
        .collect();
    let sometimes = |random: &mut ChaCha8Rng, share: f64, max: usize| {
        random.random_bool(share).then(|| random.random_range(1..=max))
    };
    let few = |random: &mut ChaCha8Rng| (0..random.random_range(0..3)).map(|_| random.random_range(0..items)).collect();
    Case {
        count: random.random_range(1..=candidates_max.min(100) as usize),
        candidates,
        offers,
        budgets_minor: (0..3).map(|_| random.random_range(-5..40)).collect(),
        seen: few(&mut random),
        excluded: few(&mut random),
        out_of_stock: few(&mut random),
        price_band: random.random_bool(0.3).then_some(PriceBand { from_minor: 100, to_minor: 800 }),
        max_per_seller: sometimes(&mut random, 0.6, 3),
        max_per_category: sometimes(&mut random, 0.5, 3),
        category_caps: (0..random.random_range(0..3))
            .map(|_| CategoryCap { category: random.random_range(0..6), at_most: random.random_range(0..3) })
            .collect(),
        seed: random.random(),
        policy: policy(&mut random),
    }
}

fn policy(random: &mut ChaCha8Rng) -> Policy {
    let quarters = |random: &mut ChaCha8Rng| f64::from(random.random_range(0..=4)) / 4.0;
    let draw = |random: &mut ChaCha8Rng| match random.random_bool(0.5) {
        true => Draw::Uniform,
        false => Draw::Softmax { temperature: 0.3 },
    };
    Policy {
        diversity: random
            .random_bool(0.6)
            .then(|| Diversity { lambda: quarters(random), max_similarity: 0.5 + quarters(random) / 2.0 }),
        fairness: random.random_bool(0.6).then(|| Fairness { floor_share: quarters(random) }),
        sponsorship: random.random_bool(0.6).then(|| Sponsorship {
            places: (0..4).map(|_| random.random_range(0..8)).collect(),
            max_share: quarters(random),
            relevance_floor: quarters(random),
        }),
        exploration: random.random_bool(0.6).then(|| Exploration {
            epsilon: quarters(random),
            tail: random.random_range(1..10),
            draw: draw(random),
        }),
        ..Policy::default()
    }
}
