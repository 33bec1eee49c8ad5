//! Pairs and kits beside counting by brute force, planted bundles, coincidences, and odd input.

use dhow_bundles::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ITEMS: u32 = 24;

fn any(_: u32) -> bool {
    true
}

/// Baskets in which even items draw their odd neighbours along, with duplicates and empty ones.
fn random_baskets(baskets: usize, seed: u64) -> Vec<(u32, Vec<u32>)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..baskets)
        .map(|_| {
            let mut basket: Vec<u32> = Vec::new();
            for _ in 0..random.random_range(0..5) {
                let item = random.random_range(0..ITEMS).min(random.random_range(0..ITEMS));
                basket.push(item);
                if random.random_bool(0.4) {
                    basket.push(item / 4 * 4 + random.random_range(0..4));
                }
            }
            (random.random_range(0..4) * random.random_range(0..2), basket)
        })
        .collect()
}

fn categories() -> Vec<u32> {
    (0..ITEMS).map(|item| item % 3).collect()
}

/// Counting by looking at every basket again for every question.
struct Slow<'a> {
    baskets: Vec<&'a Vec<u32>>,
    settings: BundleSettings,
}

impl<'a> Slow<'a> {
    fn new(baskets: &'a [(u32, Vec<u32>)], region: Option<u32>, settings: BundleSettings) -> Self {
        let of = |(number, basket): &&(u32, Vec<u32>)| region.is_none_or(|r| r == *number) && !basket.is_empty();
        Self { baskets: baskets.iter().filter(of).map(|(_, basket)| basket).collect(), settings }
    }

    fn count(&self, matches: impl Fn(&[u32]) -> bool) -> f64 {
        self.baskets.iter().filter(|basket| matches(basket)).count() as f64
    }

    fn support(&self, a: u32, b: u32) -> f64 {
        self.count(|basket| basket.contains(&a) && basket.contains(&b))
    }

    fn expected(&self, a: u32, b: u32) -> f64 {
        self.count(|basket| basket.contains(&a)) * self.count(|basket| basket.contains(&b)) / self.baskets.len() as f64
    }

    fn evidence(&self, a: u32, b: u32) -> f64 {
        let mut sum = 0.0;
        for with_a in [false, true] {
            for with_b in [false, true] {
                let is = self.count(|basket| basket.contains(&a) == with_a && basket.contains(&b) == with_b);
                let row = self.count(|basket| basket.contains(&a) == with_a);
                let column = self.count(|basket| basket.contains(&b) == with_b);
                if is > 0.0 {
                    sum += 2.0 * is * (is / (row * column / self.baskets.len() as f64)).ln();
                }
            }
        }
        sum
    }

    fn is_pair(&self, a: u32, b: u32) -> bool {
        let support = self.support(a, b);
        a != b
            && support >= f64::from(self.settings.min_support)
            && support > self.expected(a, b)
            && self.evidence(a, b) >= self.settings.min_evidence
    }

    fn log_shrunk_lift(&self, a: u32, b: u32) -> f64 {
        let support = if self.is_pair(a, b) { self.support(a, b) } else { 0.0 };
        ((support + self.settings.prior_baskets) / (self.expected(a, b) + self.settings.prior_baskets)).ln()
    }

    /// Complements and the logarithm of the joint lift.
    fn kit(&self, anchor: u32, rules: KitRules) -> (Vec<u32>, f64) {
        let (mut kit, mut joint) = (vec![anchor], 0.0);
        while kit.len() <= rules.complements {
            let gain = |item: &u32| kit.iter().map(|other| self.log_shrunk_lift(*item, *other)).sum::<f64>();
            let alike = |item: u32| kit.iter().filter(|other| categories()[**other as usize] == item % 3).count();
            let fits = |item: &u32| {
                self.is_pair(anchor, *item) && !kit.contains(item) && alike(*item) < rules.max_per_category
            };
            let best = (0..ITEMS).rev().filter(fits).max_by(|a, b| gain(a).total_cmp(&gain(b)));
            let Some(item) = best.filter(|item| gain(item) > 0.0) else { break };
            joint += gain(&item);
            kit.push(item);
        }
        (kit[1..].to_vec(), joint)
    }
}

#[test]
fn pairs_are_those_of_brute_force_in_every_region() {
    let mut pairs = [0, 0];
    for seed in 0..4 {
        let baskets = random_baskets(400, seed);
        let settings =
            BundleSettings { min_support: 2, min_evidence: 2.0, min_region_baskets: 20, ..BundleSettings::default() };
        let model = BundleModel::fit(baskets.iter().map(|(r, b)| (*r, b)), categories(), settings).unwrap();
        assert!(model.regions().count() > 1);
        for region in [None, Some(0), Some(2)] {
            let slow = Slow::new(&baskets, region, settings);
            for item in 0..ITEMS {
                let wanted: Vec<u32> = (0..ITEMS).filter(|other| slow.is_pair(item, *other)).collect();
                let found = model.partners(item, region, 1_000, &any);
                let own_reach = if region.is_some() { Reach::Region } else { Reach::All };
                let own: Vec<&Partner> = found.iter().filter(|partner| partner.reach == own_reach).collect();
                let mut items: Vec<u32> = own.iter().map(|partner| partner.item).collect();
                assert!(own.windows(2).all(|pair| pair[0].evidence >= pair[1].evidence));
                items.sort_unstable();
                assert_eq!(items, wanted, "seed {seed}, region {region:?}, item {item}");
                for partner in own {
                    let support = slow.support(item, partner.item);
                    assert_eq!(f64::from(partner.support), support);
                    assert!((partner.lift - support / slow.expected(item, partner.item)).abs() < 1e-9);
                    assert!((partner.evidence - slow.evidence(item, partner.item)).abs() < 1e-9);
                    let confidence = support / slow.count(|basket| basket.contains(&item));
                    assert!((partner.confidence - confidence).abs() < 1e-12);
                }
                pairs[usize::from(region.is_some())] += wanted.len();
            }
        }
    }
    assert!(pairs.iter().all(|count| *count > 100), "{pairs:?}");
}

#[test]
fn kits_are_those_of_the_plain_greedy_choice() {
    let mut kits = 0;
    for seed in 10..14 {
        let baskets = random_baskets(500, seed);
        let settings = BundleSettings { min_support: 2, min_evidence: 2.0, ..BundleSettings::default() };
        let model = BundleModel::fit(baskets.iter().map(|(r, b)| (*r, b)), categories(), settings).unwrap();
        let slow = Slow::new(&baskets, None, settings);
        for rules in [KitRules::default(), KitRules { complements: 3, max_per_category: 1 }] {
            for anchor in 0..ITEMS {
                let (complements, joint) = slow.kit(anchor, rules);
                let kit = model.kit(anchor, None, rules, &any).unwrap();
                assert_eq!(kit.is_some(), complements.len() >= MIN_KIT_COMPLEMENTS);
                let Some(kit) = kit else { continue };
                let items: Vec<u32> = kit.complements.iter().map(|partner| partner.item).collect();
                assert_eq!(items, complements, "seed {seed}, anchor {anchor}, {rules:?}");
                assert!((kit.log_joint_lift - joint).abs() < 1e-9);
                kits += 1;
            }
        }
    }
    assert!(kits > 50, "{kits}");
}

#[test]
fn planted_bundles_are_found_and_coincidences_are_not() {
    // A thousand items bought at random, by popularity; items 0 to 3 are a camera, a card, a bag and a battery.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let baskets: Vec<(u32, Vec<u32>)> = (0..20_000)
        .map(|_| {
            let mut basket: Vec<u32> =
                (0..4).map(|_| 4 + random.random_range(0..996) * random.random_range(0..997) / 996).collect();
            if random.random_bool(0.01) {
                basket.push(0);
                basket.extend((1..4).filter(|_| random.random_bool(0.5)));
            }
            (0, basket)
        })
        .collect();
    // Two items that were bought once each, in one basket: the highest lift there can be.
    let mut with_coincidence = baskets.clone();
    with_coincidence.push((0, vec![1_000, 1_001]));
    let model = BundleModel::fit(with_coincidence, vec![0; 1_002], BundleSettings::default()).unwrap();
    let mut partners: Vec<u32> = model.partners(0, None, 10, &any).iter().map(|partner| partner.item).collect();
    partners.sort_unstable();
    assert_eq!(partners, [1, 2, 3]);
    assert!(model.partners(1_000, None, 10, &any).is_empty());
    let by_chance: usize = (4..1_000).map(|item| model.partners(item, None, 100, &any).len()).sum();
    assert!(by_chance <= 4, "{by_chance} of a million independent pairs count");
    let rules = KitRules { complements: 3, max_per_category: 4 };
    let kit = model.kit(0, None, rules, &any).unwrap().unwrap();
    let mut complements: Vec<u32> = kit.complements.iter().map(|partner| partner.item).collect();
    complements.sort_unstable();
    assert_eq!(complements, [1, 2, 3]);
    let without_bag = model.kit(0, None, rules, &|item| item != 2).unwrap().unwrap();
    assert!(without_bag.complements.iter().all(|partner| partner.item != 2));
    assert_eq!(
        model.kit(0, None, KitRules { complements: 4, max_per_category: 1 }, &any).unwrap(),
        None,
        "one category"
    );
}

#[test]
fn a_region_speaks_for_itself_and_all_stand_in_for_what_it_does_not_know() {
    // In region 1 items 0 and 1 go together, elsewhere 0 and 2 do; region 9 is too small to say anything.
    let mut baskets: Vec<(u32, Vec<u32>)> = Vec::new();
    for at in 0..600 {
        let with = at % 2 == 0;
        baskets.push((1, if with { vec![0, 1] } else { vec![3] }));
        baskets.push((2, if with { vec![0, 2] } else { vec![3] }));
    }
    baskets.push((9, vec![0, 3]));
    let model = BundleModel::fit(baskets, vec![0, 1, 2, 3], BundleSettings::default()).unwrap();
    assert_eq!(model.regions().collect::<Vec<_>>(), [1, 2]);
    let answer = |region| -> Vec<(u32, Reach)> {
        model.partners(0, region, 5, &any).iter().map(|partner| (partner.item, partner.reach)).collect()
    };
    assert_eq!(answer(Some(1)), [(1, Reach::Region), (2, Reach::All)]);
    assert_eq!(answer(Some(2)), [(2, Reach::Region), (1, Reach::All)]);
    assert_eq!(answer(Some(9)), [(1, Reach::All), (2, Reach::All)]);
    assert_eq!(answer(Some(9)), answer(None));
    // No region knows two complements; all do.
    let kit = model.kit(0, Some(1), KitRules::default(), &any).unwrap();
    assert!(kit.is_none_or(|kit| kit.reach == Reach::All));
}

#[test]
fn a_model_does_not_depend_on_the_number_of_threads_and_survives_storage() {
    let baskets = random_baskets(300, 7);
    let settings = BundleSettings { min_support: 2, min_evidence: 1.0, min_region_baskets: 50, ..Default::default() };
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| BundleModel::fit(baskets.iter().map(|(r, b)| (*r, b)), categories(), settings).unwrap())
    };
    let model = fit(1);
    assert_eq!(model, fit(3));
    let stored = serde_json::to_value(&model).unwrap();
    assert_eq!(serde_json::from_value::<BundleModel>(stored.clone()).unwrap(), model);
    let mut broken = stored;
    broken["categories"].as_array_mut().unwrap().pop();
    let error = serde_json::from_value::<BundleModel>(broken).unwrap_err().to_string();
    assert!(error.contains("do not fit together"), "{error}");
}

#[test]
fn odd_baskets_and_questions_get_defined_answers() {
    let fit = |baskets: Vec<(u32, Vec<u32>)>, items: usize, settings: BundleSettings| {
        BundleModel::fit(baskets, vec![0; items], settings)
    };
    let usual = BundleSettings::default();
    assert_eq!(fit(vec![], 3, usual).unwrap_err(), BundlesError::NoBaskets);
    assert_eq!(fit(vec![(0, vec![])], 3, usual).unwrap_err(), BundlesError::NoBaskets);
    let unknown = fit(vec![(0, vec![1]), (0, vec![3])], 3, usual).unwrap_err();
    assert_eq!(unknown.to_string(), "basket 1 names item 3; items are numbered below 3");
    let refused = fit(vec![(0, vec![1])], 3, BundleSettings { min_evidence: f64::NAN, ..usual }).unwrap_err();
    assert!(refused.to_string().starts_with("min_evidence is NaN"));
    let one = fit(vec![(0, vec![0, 0, 0])], 1, usual).unwrap();
    assert_eq!((one.baskets(), one.partners(0, None, 5, &any).len()), ((1, 0), 0));
    assert!(one.partners(77, Some(3), 5, &any).is_empty());
    assert_eq!(one.kit(77, None, KitRules::default(), &any).unwrap(), None);
    assert!(one.kit(0, None, KitRules { complements: 5, max_per_category: 1 }, &any).is_err());
    let huge = fit(vec![(0, (0..1_000).collect())], 1_000, BundleSettings { min_support: 1, ..usual }).unwrap();
    assert_eq!(huge.baskets(), (1, 1), "read up to a bound, and said so");
}
