//! Simulated annealing over ruin and recreate; it accepts only what `State` can hold, so every plan met keeps the rules.

use super::construct::construct;
use super::ensemble::Found;
use super::fleet::Squeeze;
use super::parts::{part_count, search_parts};
use super::random::Random;
use super::recreate::Recreate;
use super::ruin::ruin;
use super::state::State;
use super::watch::Watcher;

/// First and last temperature as shares of the mean cost of a leg, when there is time for many steps.
const TEMPERATURES: (f64, f64) = (2.0, 0.02);
/// Steps per stop that are many: ten for each stop of the problem, and never more than so many. With fewer, the first temperature
/// is lower in proportion. A small problem is cooled well from a heat in which a large one would lose its way.
const MANY_STEPS_PER_STOP: f64 = 10.0;
const MOST_MANY_STEPS: f64 = 4_000.0;
/// Lowest share of the first temperature.
const LOWEST_START: f64 = 0.05;
/// Where stops have prizes, leaving one out costs so many times its prize at first, and the prize alone after this share of the
/// cooling. A route full of stops pays for its vehicle where one with few does not, and a hot plan is never full by itself.
const DEAREST_ABSENCE: f64 = 1.5;
const FADING_SHARE: f64 = 0.8;
/// By how much its cost changes at a time, in times the prize.
const FADING_STEP: f64 = 0.01;
/// Share of the work of one round in parts, the share of what is left that a round may take, and the fewest steps that a part is
/// worth being split off for.
const ROUND_SHARE: f64 = 0.005;
const LAST_ROUND_SHARE: f64 = 0.5;
const FEWEST_ROUND_STEPS: f64 = 64.0;
/// Steps between two looks at the progress.
const STEPS_PER_LOOK: u64 = 64;
/// Share of the work after which the number of all steps is estimated.
const TRIAL_SHARE: f64 = 0.002;

/// What goes on beside the annealing.
pub(super) struct Course<'c, 'w> {
    /// The share of the work done, given the steps done.
    pub(super) progress: &'c dyn Fn(u64) -> f64,
    /// The share of the work at which the annealing ends, given how many steps a stop would get in all of it.
    pub(super) end: &'c dyn Fn(f64) -> f64,
    /// Is shown the plan at every look, with the share of the annealing done.
    pub(super) visit: &'c mut dyn FnMut(&State, f64),
    /// Is told better plans.
    pub(super) watcher: &'c mut Watcher<'w>,
    /// How many threads search parts of a large plan.
    pub(super) threads: usize,
}

/// Anneals until the course's end, gently when there are routes to begin with; the best plan met is in `state.best`. Returns the steps done.
pub(super) fn anneal(state: &mut State, random: &mut Random, course: Course) -> u64 {
    let Course { progress, end, visit, watcher, threads } = course;
    let mut annealer = Annealer::new(random, progress, watcher, threads);
    let live = !state.used.is_empty();
    let per_stop = annealer.open(state);
    let hottest = if live { LOWEST_START } else { TEMPERATURES.0 };
    let first = first_temperature(per_stop, state.instance.stops);
    annealer.cool(state, first.min(hottest), end(per_stop), visit);
    annealer.steps
}

/// Steps of ruin and recreate at a temperature, counted.
pub(super) struct Annealer<'c, 'w> {
    pub(super) recreate: Recreate,
    pub(super) random: &'c mut Random,
    progress: &'c dyn Fn(u64) -> f64,
    watcher: &'c mut Watcher<'w>,
    threads: usize,
    /// Into how many parts the plan is divided.
    parts: usize,
    steps: u64,
    /// Mean cost of a leg of the first plan, in which temperatures are measured.
    mean_leg: f64,
    /// Leaving stops out is dearer than their prizes while a cooling is young.
    pub(super) fades: bool,
}

impl<'c, 'w> Annealer<'c, 'w> {
    pub(super) fn new(
        random: &'c mut Random,
        progress: &'c dyn Fn(u64) -> f64,
        watcher: &'c mut Watcher<'w>,
        threads: usize,
    ) -> Annealer<'c, 'w> {
        let recreate = Recreate::default();
        Annealer { recreate, random, progress, watcher, threads, parts: 1, steps: 0, mean_leg: 0.0, fades: true }
    }

    /// The share of the work done.
    pub(super) fn done(&self) -> f64 {
        (self.progress)(self.steps)
    }

    /// A first plan of all stops and, where vehicles are dear, of few vehicles; then some steps by whose speed it is known how many
    /// steps a stop gets in all of the work, which is returned.
    pub(super) fn open(&mut self, state: &mut State) -> f64 {
        if state.used.is_empty() {
            construct(state, &mut self.recreate);
        } else {
            self.recreate.complete(state);
        }
        state.keep_if_best();
        self.mean_leg = mean_leg(state);
        self.parts = part_count(state, self.threads);
        self.steps = Squeeze::new(state, &mut self.recreate, self.random, self.mean_leg).run(state, self.progress);
        let (trial, begun) = (self.steps, self.done());
        loop {
            self.run(state, LOWEST_START);
            let done = self.done();
            if done >= (begun + TRIAL_SHARE).min(1.0) {
                // As fast as one thread was in the trial, so fast is each of those that search parts.
                let steps = ((self.steps - trial) * self.threads.min(self.parts) as u64) as f64;
                return steps / (done - begun).max(f64::MIN_POSITIVE) / state.instance.stops as f64;
            }
        }
    }

    /// Cools down from a temperature, as a share of the mean leg, until so much of the work is done. `visit` is shown the plan at
    /// every look, with the share of the cooling done.
    pub(super) fn cool(&mut self, state: &mut State, first: f64, end: f64, visit: &mut dyn FnMut(&State, f64)) {
        let fades = self.fades && state.instance.may_leave_out && !state.has_homes();
        let mut fading = Fading { times: 1.0, before: fades.then(|| state.forget_best()) };
        let begin = self.done();
        let length = (end.min(1.0) - begin).max(f64::MIN_POSITIVE);
        loop {
            let done = self.done();
            self.watcher.look(state, done);
            let share = (done - begin) / length;
            if share >= 1.0 || done >= 1.0 {
                return fading.end(state);
            }
            fading.go_on(state, share);
            visit(state, share);
            let temperature = first * (TEMPERATURES.1 / first).powf(share);
            match self.round_steps(done) {
                Some(steps) => self.run_parts(state, temperature, steps),
                None => self.run(state, temperature),
            }
        }
    }

    /// How many steps each part gets in a round; none where the plan is searched as a whole.
    fn round_steps(&self, done: f64) -> Option<u64> {
        let share = ROUND_SHARE.min((1.0 - done) * LAST_ROUND_SHARE);
        let steps = self.steps as f64 / done * share / self.parts as f64;
        (self.parts > 1 && steps >= FEWEST_ROUND_STEPS).then_some(steps as u64)
    }

    /// A round in parts, at a temperature as a share of the mean leg.
    fn run_parts(&mut self, state: &mut State, temperature: f64, steps: u64) {
        let temperature = temperature * self.mean_leg;
        let search = |state: &mut State, recreate: &mut Recreate, random: &mut Random| {
            (0..steps).for_each(|_| step(state, recreate, random, temperature));
        };
        search_parts(state, (self.parts, self.threads), self.random, &search);
        self.steps += steps * self.parts as u64;
    }

    /// Steps between two looks, at a temperature as a share of the mean leg.
    fn run(&mut self, state: &mut State, temperature: f64) {
        let temperature = temperature * self.mean_leg;
        (0..STEPS_PER_LOOK).for_each(|_| step(state, &mut self.recreate, self.random, temperature));
        self.steps += STEPS_PER_LOOK;
    }
}

/// One step of ruin and recreate, taken back where it is too dear at this temperature, which is a cost.
fn step(state: &mut State, recreate: &mut Recreate, random: &mut Random, temperature: f64) {
    state.begin();
    let around = ruin(state, random);
    state.remove_partners();
    state.fit_vehicles();
    let limit = state.cost_before() as f64 - temperature * (1.0 - random.unit()).ln();
    if recreate.run(state, random, around, limit) && (state.cost as f64) < limit {
        state.keep_if_best();
    } else {
        state.undo();
    }
}

/// The price of leaving stops out over a cooling.
struct Fading {
    /// In times the prize.
    times: f64,
    /// The best plan before; none where the price is the prize all along.
    before: Option<Found>,
}

impl Fading {
    fn go_on(&mut self, state: &mut State, share: f64) {
        let times = 1.0 + (DEAREST_ABSENCE - 1.0) * (1.0 - share / FADING_SHARE).max(0.0);
        let is_over = times == 1.0 && self.times != 1.0;
        if self.before.is_some() && ((times - self.times).abs() >= FADING_STEP || is_over) {
            self.times = times;
            state.price_absences(times);
        }
    }

    /// Goes back to the prizes, where time ran out early, and to the plan of before, where it is better.
    fn end(self, state: &mut State) {
        let Some(before) = self.before else { return };
        if self.times != 1.0 {
            state.price_absences(1.0);
        }
        if before.cost < state.best.cost {
            state.take(&before.orders);
            state.keep_if_best();
        }
    }
}

/// The first temperature, as a share of the mean leg, when each of so many stops gets so many steps.
pub(super) fn first_temperature(per_stop: f64, stops: usize) -> f64 {
    let many = (MANY_STEPS_PER_STOP * stops as f64).min(MOST_MANY_STEPS);
    (TEMPERATURES.0 * per_stop / many).clamp(LOWEST_START, TEMPERATURES.0)
}

fn mean_leg(state: &State) -> f64 {
    let legs = (state.instance.stops - state.absent.len() + state.used.len()).max(1);
    let cost = |&route: &u32| state.routes[route as usize].legs.iter().sum::<i64>();
    state.used.iter().map(cost).sum::<i64>() as f64 / legs as f64
}
