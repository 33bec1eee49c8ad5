//! Minimising smooth functions of a few dozen variables by their gradients (BFGS), and of one to four variables without.
//!
//! BFGS as in Nocedal and Wright 2006, chapter 6: the inverse Hessian H is built up from steps s and changes of the gradient y,
//! H ← (I − ρsyᵀ)·H·(I − ρysᵀ) + ρssᵀ with ρ = 1 ÷ yᵀs, skipped where yᵀs is not positive. The length of a step is halved or
//! better (the minimum of the parabola through what is known) until the function falls by 10⁻⁴ of what its slope promises.

/// Share of the promised fall that a step must bring.
const ARMIJO: f64 = 1e-4;
/// Most shortenings of one step.
const SHORTENINGS_MAX: usize = 12;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    /// Most steps.
    pub(crate) steps_max: usize,
    /// A fall of the function below this ends the search.
    pub(crate) fall: f64,
}

/// Moves `x` to a local minimum of `function`, which writes its gradient and may answer infinity outside its domain, and
/// returns the minimum. `x` must lie inside the domain.
pub(crate) fn minimise(mut function: impl FnMut(&[f64], &mut [f64]) -> f64, x: &mut [f64], stop: Stop) -> f64 {
    let n = x.len();
    let mut gradient = vec![0.0; n];
    let mut value = function(x, &mut gradient);
    let (mut inverse, mut direction) = (vec![0.0; n * n], vec![0.0; n]);
    let (mut next, mut next_gradient, mut product) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut is_fresh = true;
    for _ in 0..stop.steps_max {
        if is_fresh {
            inverse.fill(0.0);
            let size = dot(&gradient, &gradient).sqrt().max(1.0);
            (0..n).for_each(|i| inverse[i * n + i] = 1.0 / size);
        }
        for (row, out) in inverse.chunks_exact(n).zip(direction.iter_mut()) {
            *out = -dot(row, &gradient);
        }
        let slope = dot(&direction, &gradient);
        if slope >= 0.0 || !slope.is_finite() {
            break;
        }
        let Some(next_value) =
            shorten(&mut function, x, value, &direction, slope, (&mut next[..], &mut next_gradient[..]))
        else {
            // A direction that leads nowhere is given up for the steepest one, once.
            if is_fresh {
                break;
            }
            is_fresh = true;
            continue;
        };
        let fall = value - next_value;
        // From here on `direction` holds the step and `gradient` its change.
        direction.iter_mut().zip(next.iter().zip(x.iter())).for_each(|(step, (new, old))| *step = new - old);
        gradient.iter_mut().zip(&next_gradient).for_each(|(change, new)| *change = new - *change);
        x.copy_from_slice(&next);
        value = next_value;
        let curvature = dot(&direction, &gradient);
        if curvature > 1e-12 * dot(&gradient, &gradient) * f64::EPSILON.sqrt() && curvature > 0.0 {
            if is_fresh {
                let scale = curvature / dot(&gradient, &gradient);
                (0..n).for_each(|i| inverse[i * n + i] = scale);
                is_fresh = false;
            }
            update(&mut inverse, &direction, &gradient, curvature, &mut product);
        }
        gradient.copy_from_slice(&next_gradient);
        if fall < stop.fall {
            break;
        }
    }
    value
}

/// Shortens a step until the function falls enough; writes the new point and its gradient, and returns its value.
fn shorten(
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    x: &[f64],
    value: f64,
    direction: &[f64],
    slope: f64,
    (next, next_gradient): (&mut [f64], &mut [f64]),
) -> Option<f64> {
    let mut length = 1.0;
    for _ in 0..SHORTENINGS_MAX {
        next.iter_mut().zip(x.iter().zip(direction)).for_each(|(new, (old, along))| *new = old + length * along);
        let found = function(next, next_gradient);
        if found <= value + ARMIJO * length * slope {
            return Some(found);
        }
        let lowest = -slope * length * length / (2.0 * (found - value - slope * length));
        length = if lowest.is_finite() { lowest.clamp(0.1 * length, 0.5 * length) } else { 0.2 * length };
    }
    None
}

fn update(inverse: &mut [f64], step: &[f64], change: &[f64], curvature: f64, product: &mut [f64]) {
    let n = step.len();
    for (row, out) in inverse.chunks_exact(n).zip(product.iter_mut()) {
        *out = dot(row, change);
    }
    let factor = (1.0 + dot(change, product) / curvature) / curvature;
    for (i, row) in inverse.chunks_exact_mut(n).enumerate() {
        let (along, across) = (factor * step[i] - product[i] / curvature, step[i] / curvature);
        row.iter_mut().zip(step.iter().zip(&*product)).for_each(|(cell, (s, p))| *cell += along * s - across * p);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where `loss` is least between `low` and `high`: `coarse` equal parts are looked at, for it may have several minima, and the
/// best one and its neighbours are then narrowed by `fine` golden sections.
pub(crate) fn minimum_between(loss: impl Fn(f64) -> f64, (low, high): (f64, f64), coarse: usize, fine: usize) -> f64 {
    let width = (high - low) / coarse as f64;
    let (mut best, mut least) = (low, f64::INFINITY);
    for point in (0..=coarse).map(|part| low + width * part as f64) {
        let found = loss(point);
        if found < least {
            (best, least) = (point, found);
        }
    }
    let (mut low, mut high) = ((best - width).max(low), (best + width).min(high));
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut loss_a, mut loss_b) = (loss(a), loss(b));
    for _ in 0..fine {
        if loss_a < loss_b {
            (high, b, loss_b) = (b, a, loss_a);
            a = high - ratio * (high - low);
            loss_a = loss(a);
        } else {
            (low, a, loss_a) = (a, b, loss_b);
            b = low + ratio * (high - low);
            loss_b = loss(b);
        }
    }
    let middle = (low + high) / 2.0;
    if loss(middle) <= least { middle } else { best }
}

/// Least and greatest value of a variable.
pub(crate) type Range = (f64, f64);

/// Edges of the first simplex, in logits of the places inside the ranges.
const FIRST_EDGE: f64 = 0.5;
/// Edges of the second simplex, away from the border.
const SECOND_EDGE: f64 = 2.0;
/// Largest logit: beyond it the function is too flat to find back.
const FARTHEST: f64 = 7.0;
/// Places nearer to a border than this share of the range count as this far, at the start.
const FIRST_BORDER: f64 = 0.01;
/// The search ends when the worst corner is within this share of the best.
const ALIKE: f64 = 1e-5;

/// Moves `x` to a minimum inside a box by the search of Nelder and Mead 1965, with at most `calls_max` calls or a few more, and
/// returns the minimum. It searches logits of places in the ranges; where it ends at a border, which may have caught it too
/// early, it sets out from there once more.
pub(crate) fn search_box(
    function: &mut dyn FnMut(&[f64]) -> f64,
    x: &mut [f64],
    ranges: &[Range],
    calls_max: usize,
) -> f64 {
    let inside = |logit: f64, (low, high): &Range| low + (high - low) / (1.0 + (-logit).exp());
    let mut calls = 0;
    let mut value_at = |logits: &mut [f64]| {
        calls += 1;
        logits.iter_mut().for_each(|logit| *logit = logit.clamp(-FARTHEST, FARTHEST));
        let point: Vec<f64> = logits.iter().zip(ranges).map(|(logit, range)| inside(*logit, range)).collect();
        (function(&point), calls)
    };
    let logit = |(x, (low, high)): (&f64, &Range)| {
        let share = ((x - low) / (high - low)).clamp(FIRST_BORDER, 1.0 - FIRST_BORDER);
        (share / (1.0 - share)).ln()
    };
    let first: Vec<f64> = x.iter().zip(ranges).map(logit).collect();
    let (mut least, mut best) = descend(&mut value_at, first, |_| FIRST_EDGE, calls_max);
    if best.iter().any(|logit| logit.abs() >= FARTHEST) {
        let inwards = |logit: f64| -SECOND_EDGE * logit.signum();
        (least, best) = descend(&mut value_at, best, inwards, calls_max);
    }
    x.iter_mut().zip(best.iter().zip(ranges)).for_each(|(x, (logit, range))| *x = inside(*logit, range));
    least
}

/// One search from a simplex at `first` with such edges: its best value and point. `value_at` also tells the calls so far.
fn descend(
    value_at: &mut dyn FnMut(&mut [f64]) -> (f64, usize),
    first: Vec<f64>,
    edge: impl Fn(f64) -> f64,
    calls_max: usize,
) -> (f64, Vec<f64>) {
    let n = first.len();
    let mut corners: Vec<(f64, Vec<f64>)> = Vec::with_capacity(n + 1);
    for corner in 0..=n {
        let mut point = first.clone();
        if corner > 0 {
            point[corner - 1] += edge(first[corner - 1]);
        }
        corners.push((value_at(&mut point).0, point));
    }
    loop {
        corners.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (best, worst) = (corners[0].0, corners[n].0);
        if worst - best <= ALIKE * best.abs() {
            break;
        }
        let mut centre = vec![0.0; n];
        for (_, corner) in &corners[..n] {
            centre.iter_mut().zip(corner).for_each(|(sum, x)| *sum += x / n as f64);
        }
        let mut along = |factor: f64| {
            let mut point: Vec<f64> = centre.iter().zip(&corners[n].1).map(|(c, w)| c + factor * (c - w)).collect();
            let (value, calls) = value_at(&mut point);
            (calls, (value, point))
        };
        let (calls, reflected) = along(1.0);
        if calls >= calls_max {
            break;
        }
        if reflected.0 < best {
            let expanded = along(2.0).1;
            corners[n] = if expanded.0 < reflected.0 { expanded } else { reflected };
        } else if reflected.0 < corners[n - 1].0 {
            corners[n] = reflected;
        } else {
            let nearer = along(if reflected.0 < worst { 0.5 } else { -0.5 }).1;
            if nearer.0 < worst.min(reflected.0) {
                corners[n] = nearer;
            } else {
                let (best, others) = corners.split_at_mut(1);
                for (value, corner) in others {
                    corner.iter_mut().zip(&best[0].1).for_each(|(x, best)| *x = (*x + best) / 2.0);
                    *value = value_at(corner).0;
                }
            }
        }
    }
    corners.swap_remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let mut x = [-1.2, 1.0];
        let function = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = -400.0 * x[0] * (x[1] - x[0] * x[0]) - 2.0 * (1.0 - x[0]);
            gradient[1] = 200.0 * (x[1] - x[0] * x[0]);
            100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)
        };
        let least = minimise(function, &mut x, Stop { steps_max: 200, fall: 1e-14 });
        assert!(least < 1e-10 && (x[0] - 1.0).abs() < 1e-4 && (x[1] - 1.0).abs() < 1e-4, "{least} {x:?}");
    }

    #[test]
    fn a_wall_of_infinity_is_not_crossed() {
        let mut x = [0.5];
        let function = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0 - 0.01 / x[0];
            if x[0] > 0.0 { x[0] - 0.01 * x[0].ln() } else { f64::INFINITY }
        };
        minimise(function, &mut x, Stop { steps_max: 100, fall: 1e-14 });
        assert!((x[0] - 0.01).abs() < 1e-5, "{x:?}");
    }

    #[test]
    fn the_lower_of_two_minima_is_found() {
        let found = minimum_between(|x: f64| (x * 9.0).sin() + x, (0.0, 2.0), 14, 20);
        // The derivative 9·cos(9x) + 1 is zero at the first trough.
        assert!((found - 0.511).abs() < 0.03, "{found}");
    }

    #[test]
    fn a_minimum_outside_the_box_is_found_on_its_border() {
        let mut x = [0.5, 0.5];
        let mut bowl = |x: &[f64]| 1.0 + (x[0] - 2.0).powi(2) + (x[1] - 0.3).powi(2);
        let least = search_box(&mut bowl, &mut x, &[(0.0, 1.0), (0.0, 1.0)], 200);
        assert!((x[0] - 1.0).abs() < 1e-2 && (x[1] - 0.3).abs() < 1e-2 && (least - 2.0).abs() < 1e-2, "{least} {x:?}");
    }
}
