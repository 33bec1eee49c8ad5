//! Running summaries of what an arm's visitors brought: of one value each, or of a ratio of two sums; single values are not kept.

use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, check_all, check_setting};

/// What a comparison needs to know of an arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many visitors were counted, each once.
    pub visitors: u64,
    /// The mean, or the ratio of the sums.
    pub mean: f64,
    /// The variance of one visitor's value; for a ratio that of its linearised value. The variance of the mean is this
    /// divided by the visitors.
    pub variance: f64,
}

/// A sum of squares this part below the least possible one is still rounding.
const ROUNDING: f64 = 1e-9;

impl Summary {
    /// From sums that a store keeps: over the visitors' values (one a visitor), and over their squares.
    ///
    /// # Errors
    /// A sum that is not finite, sums without a visitor, or squares whose sum is less than these values can have.
    pub fn of_sums(visitors: u64, sum: f64, sum_of_squares: f64) -> Result<Self, ExperimentError> {
        check_setting("sum", sum, "finite, and 0 without visitors", sum.is_finite() && (visitors > 0 || sum == 0.0))?;
        let mean = sum / visitors.max(1) as f64;
        let squares = sum_of_squares - sum * mean;
        let right = sum_of_squares.is_finite() && squares >= -ROUNDING * sum_of_squares.abs();
        let rule = "finite and at least the square of the sum over the visitors, 0 without visitors";
        check_setting("sum_of_squares", sum_of_squares, rule, right && (visitors > 0 || sum_of_squares == 0.0))?;
        Ok(Self { visitors, mean, variance: per_visitor(squares.max(0.0), visitors) })
    }
}

/// Values of an arm's visitors: clicks, orders, sales. Add one value a visitor (not one a visit: visits of one person
/// are alike, and counting them as independent would make the intervals too narrow).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    visitors: u64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Sample {
    /// Takes in a visitor (Welford's update).
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn add(&mut self, value: f64) -> Result<(), ExperimentError> {
        check_all("value", &[value], "finite", f64::is_finite)?;
        self.visitors += 1;
        let from_old = value - self.mean;
        self.mean += from_old / self.visitors as f64;
        self.squares += from_old * (value - self.mean);
        Ok(())
    }

    /// What a comparison needs of it.
    pub fn summary(&self) -> Summary {
        Summary { visitors: self.visitors, mean: self.mean, variance: per_visitor(self.squares, self.visitors) }
    }
}

/// Two values of each of an arm's visitors whose sums are divided: clicks by products shown, sales by visits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RatioSample {
    visitors: u64,
    means: [f64; 2],
    /// Sums of squares and products of the distances from the means: above, both, below.
    squares: [f64; 3],
}

impl RatioSample {
    /// Takes in a visitor with what stands above and below the line.
    ///
    /// # Errors
    /// A value that is not finite, or one below the line that is negative.
    pub fn add(&mut self, above: f64, below: f64) -> Result<(), ExperimentError> {
        check_all("value above the line", &[above], "finite", f64::is_finite)?;
        check_all("value below the line", &[below], "finite and at least 0", |b| b.is_finite() && b >= 0.0)?;
        self.visitors += 1;
        let old = [above - self.means[0], below - self.means[1]];
        self.means[0] += old[0] / self.visitors as f64;
        self.means[1] += old[1] / self.visitors as f64;
        let new = [above - self.means[0], below - self.means[1]];
        self.squares[0] += old[0] * new[0];
        self.squares[1] += old[0] * new[1];
        self.squares[2] += old[1] * new[1];
        Ok(())
    }

    /// What a comparison needs of it: the ratio, and the variance of (above − ratio · below) / mean below, by the delta
    /// method (Deng, Knoblich and Lu 2018). Nothing below the line gives a ratio of 0 with no variance.
    pub fn summary(&self) -> Summary {
        if self.means[1] <= 0.0 {
            return Summary { visitors: self.visitors, ..Summary::default() };
        }
        let ratio = self.means[0] / self.means[1];
        let squares = self.squares[0] - 2.0 * ratio * self.squares[1] + ratio * ratio * self.squares[2];
        let variance = per_visitor(squares.max(0.0), self.visitors) / (self.means[1] * self.means[1]);
        Summary { visitors: self.visitors, mean: ratio, variance }
    }
}

fn per_visitor(squares: f64, visitors: u64) -> f64 {
    if visitors < 2 { 0.0 } else { squares / (visitors - 1) as f64 }
}
