//! The functions of probability that the posteriors need and that no dependency gives: the distribution functions of beta and normal.

/// At most so many steps of the continued fraction; it ends after fewer for every pair of parameters up to 10^12.
const MAX_STEPS: u32 = 200_000;
const ACCURACY: f64 = 1e-15;
/// What stands in for a denominator of 0.
const TINY: f64 = 1e-300;

/// The standard normal distribution function.
pub(crate) fn normal_below(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The natural logarithm of the beta function.
pub(crate) fn beta_ln(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

/// The probability that a beta variable is below `x`, by the continued fraction of the regularised incomplete beta function
/// (Lentz's method; Press et al., "Numerical Recipes", section 6.4).
pub(crate) fn beta_below(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast below the mean; above it the other tail is taken.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_below(b, a, 1.0 - x);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - beta_ln(a, b)).exp() / a;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let (mut c, mut fraction) = (1.0, d);
    for step in 1..MAX_STEPS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < ACCURACY {
            break;
        }
    }
    front * fraction
}
