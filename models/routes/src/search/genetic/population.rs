//! Plans that differ from each other and are good: those that fit and those that do not, each ranked by cost and by how far they
//! are from the nearest others (Vidal et al. 2012); it makes no plan.

use super::super::random::Random;
use super::ground::Ground;

/// Fewest plans of a kind after some were dropped, and how many more may gather before.
const FEWEST: usize = 25;
const GENERATION: usize = 40;
/// Plans that cost alone cannot displace.
const ELITES: usize = 4;
/// Nearest others by which a plan's difference is measured.
const CLOSEST: usize = 5;
/// Plans after which the price of loads over capacity is set anew, the share of them that should fit, and the steps.
const PRICED_AFTER: usize = 100;
const FITTING_SHARE: f64 = 0.2;
const PRICE_STEPS: (f64, f64) = (1.2, 0.85);
/// Most that all amounts may cost when they are over capacity, so that a tenfold price still fits.
const MOST_EXCESS_COST: i64 = 1 << 58;

/// A plan.
#[derive(Debug, Clone)]
pub(super) struct Individual {
    pub(super) routes: Vec<Vec<u32>>,
    /// Twice what the legs and vehicles cost.
    pub(super) cost: i64,
    /// Load over capacity.
    pub(super) excess: i64,
    /// Per stop, the stop or depot before and after it.
    around: Vec<[u32; 2]>,
}

impl Individual {
    pub(super) fn new(ground: &Ground, routes: Vec<Vec<u32>>) -> Individual {
        let depot = ground.depot();
        let mut around = vec![[depot; 2]; ground.stops];
        for route in &routes {
            for leg in route.windows(2) {
                around[leg[0] as usize][1] = leg[1];
                around[leg[1] as usize][0] = leg[0];
            }
        }
        Individual {
            cost: routes.iter().map(|route| ground.cost(route)).sum(),
            excess: routes.iter().map(|route| (ground.load(route) - ground.capacity).max(0)).sum(),
            around,
            routes,
        }
    }

    /// True when the route is one of this plan's, in the same direction.
    pub(super) fn has(&self, route: &[u32]) -> bool {
        let depot = self.around.len() as u32;
        let ends = |first: &u32, last: &u32| {
            self.around[*first as usize][0] == depot && self.around[*last as usize][1] == depot
        };
        route.first().zip(route.last()).is_none_or(|(first, last)| ends(first, last))
            && route.windows(2).all(|leg| self.around[leg[0] as usize][1] == leg[1])
    }

    /// The share of stops whose neighbours on the way differ.
    fn apart(&self, other: &Individual) -> f64 {
        let depot = self.around.len() as u32;
        let broken = |(one, two): (&[u32; 2], &[u32; 2])| {
            usize::from(!two.contains(&one[1])) + usize::from(one[0] == depot && !two.contains(&depot))
        };
        self.around.iter().zip(&other.around).map(broken).sum::<usize>() as f64 / self.around.len() as f64
    }
}

/// One kind of plans, cheapest first, with the distances between any two of them.
#[derive(Debug, Default)]
struct Kind {
    plans: Vec<Individual>,
    apart: Vec<Vec<f64>>,
    /// Per plan: lower is better.
    rank: Vec<f64>,
}

impl Kind {
    fn add(&mut self, plan: Individual, value: impl Fn(&Individual) -> i64) {
        let at = self.plans.partition_point(|other| value(other) <= value(&plan));
        let mut apart: Vec<f64> = self.plans.iter().map(|other| other.apart(&plan)).collect();
        for (row, &far) in self.apart.iter_mut().zip(&apart) {
            row.insert(at, far);
        }
        apart.insert(at, 0.0);
        self.apart.insert(at, apart);
        self.plans.insert(at, plan);
        if self.plans.len() > FEWEST + GENERATION {
            while self.plans.len() > FEWEST {
                self.rank();
                self.drop_worst();
            }
        }
        self.rank();
    }

    /// Mean distance to the nearest others.
    fn difference(&self, plan: usize) -> f64 {
        let others = self.apart[plan].iter().enumerate().filter(|&(other, _)| other != plan);
        let mut far: Vec<f64> = others.map(|(_, &far)| far).collect();
        far.sort_unstable_by(f64::total_cmp);
        far.truncate(CLOSEST);
        far.iter().sum::<f64>() / far.len().max(1) as f64
    }

    fn rank(&mut self) {
        let count = self.plans.len();
        let mut by_difference: Vec<(f64, usize)> = (0..count).map(|plan| (-self.difference(plan), plan)).collect();
        by_difference.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let weight = 1.0 - ELITES as f64 / count.max(ELITES) as f64;
        self.rank = vec![0.0; count];
        for (place, &(_, plan)) in by_difference.iter().enumerate() {
            self.rank[plan] = plan as f64 + weight * place as f64;
        }
    }

    /// Drops a copy of another plan if there is one, else the worst; never the cheapest.
    fn drop_worst(&mut self) {
        let copy = |plan: usize| self.apart[plan].iter().enumerate().any(|(other, &far)| other != plan && far == 0.0);
        let worst =
            (1..self.plans.len()).max_by(|&a, &b| copy(a).cmp(&copy(b)).then(self.rank[a].total_cmp(&self.rank[b])));
        if let Some(worst) = worst {
            self.plans.remove(worst);
            self.apart.remove(worst);
            self.apart.iter_mut().for_each(|row| {
                row.remove(worst);
            });
        }
    }
}

/// Both kinds, and what a load over capacity costs.
#[derive(Debug)]
pub(super) struct Population {
    fitting: Kind,
    overfull: Kind,
    price: f64,
    most_price: f64,
    /// Plans since the price was set, and those of them that fit.
    since: (usize, usize),
}

impl Population {
    pub(super) fn new(ground: &Ground) -> Population {
        let farthest = (0..ground.depot()).map(|stop| ground.leg(ground.depot(), stop)).max().unwrap_or(1);
        let largest = ground.amount.iter().copied().max().unwrap_or(1).max(1);
        let most_price = (MOST_EXCESS_COST / ground.amount.iter().sum::<i64>().max(1)) as f64;
        let price = (farthest as f64 / largest as f64).clamp(1.0, most_price);
        Population { fitting: Kind::default(), overfull: Kind::default(), price, most_price, since: (0, 0) }
    }

    /// What a unit of load over capacity costs.
    pub(super) fn price(&self) -> i64 {
        self.price as i64
    }

    /// Takes the plan in; `counts` when it came out of a descent at the present price.
    pub(super) fn add(&mut self, plan: Individual, counts: bool) {
        if counts {
            self.since.0 += 1;
            self.since.1 += usize::from(plan.excess == 0);
        }
        let price = self.price();
        if plan.excess == 0 {
            self.fitting.add(plan, |plan| plan.cost);
        } else {
            self.overfull.add(plan, |plan| plan.cost + price * plan.excess);
        }
        if self.since.0 == PRICED_AFTER {
            self.set_price();
        }
    }

    fn set_price(&mut self) {
        let share = self.since.1 as f64 / self.since.0 as f64;
        self.since = (0, 0);
        if share < FITTING_SHARE - 0.05 {
            self.price = (self.price * PRICE_STEPS.0 + 1.0).min(self.most_price);
        } else if share > FITTING_SHARE + 0.05 {
            self.price = (self.price * PRICE_STEPS.1).max(1.0);
        }
        let price = self.price();
        for plan in std::mem::take(&mut self.overfull).plans {
            self.overfull.add(plan, |plan| plan.cost + price * plan.excess);
        }
    }

    /// The better of two random plans by rank.
    pub(super) fn parent(&self, random: &mut Random) -> &Individual {
        let count = self.fitting.plans.len() + self.overfull.plans.len();
        let mut pick = || {
            let at = random.below(count);
            let (kind, at) = match at.checked_sub(self.fitting.plans.len()) {
                None => (&self.fitting, at),
                Some(at) => (&self.overfull, at),
            };
            (kind.rank[at], &kind.plans[at])
        };
        let (one, other) = (pick(), pick());
        if one.0 <= other.0 { one.1 } else { other.1 }
    }
}
