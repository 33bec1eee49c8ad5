//! What came of the arms of an experiment, visitor by visitor, from the slates that were served; what follows from it is not judged here.

use crate::columns::{floats, integers, texts};
use crate::{OfflineError, SqlSession};

/// The first moments of something measured for each visitor.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// The sum over the visitors.
    pub sum: f64,
    /// The sum of squares.
    pub sum_of_squares: f64,
}

/// What the visitors of one arm did.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmOutcome {
    /// The arm's name.
    pub arm: String,
    /// Visitors who were shown a slate of it: buyers, or sessions of people who are not signed in.
    pub visitors: u64,
    /// Slates that were served to them.
    pub slates: u64,
    /// Products that they opened from those slates, for each visitor.
    pub clicks: Moments,
    /// What they ordered from their first slate on, in US cents, for each visitor.
    pub sales_usd_minor: Moments,
}

/// The outcome of every arm of `experiment` so far, by the arms' names.
///
/// # Errors
/// A failing query.
pub async fn arm_outcomes(session: &SqlSession, experiment: &str) -> Result<Vec<ArmOutcome>, OfflineError> {
    let prefix = format!("{experiment}/").replace('\'', "''");
    let sql = format!(
        "WITH slates AS (
             SELECT decision, substr(arm, {from}) AS arm, coalesce(buyer, session) AS visitor, event_time
             FROM slate_served WHERE starts_with(arm, '{prefix}') AND coalesce(buyer, session) IS NOT NULL
         ), visitors AS (
             SELECT arm, visitor, min(event_time) AS first_time, count(*) AS slates FROM slates GROUP BY arm, visitor
         ), clicks AS (
             SELECT s.arm, s.visitor, CAST(count(*) AS DOUBLE) AS n
             FROM product_viewed v JOIN slates s ON v.decision = s.decision GROUP BY s.arm, s.visitor
         ), sales AS (
             SELECT v.arm, v.visitor, CAST(sum(i.amount_usd_minor) AS DOUBLE) AS amount
             FROM item_ordered i JOIN visitors v ON i.buyer = v.visitor AND i.event_time >= v.first_time
             GROUP BY v.arm, v.visitor
         )
         SELECT v.arm, count(*) AS visitors, sum(v.slates) AS slates,
                coalesce(sum(c.n), 0.0) AS clicks, coalesce(sum(c.n * c.n), 0.0) AS clicks_squared,
                coalesce(sum(s.amount), 0.0) AS sales, coalesce(sum(s.amount * s.amount), 0.0) AS sales_squared
         FROM visitors v
         LEFT JOIN clicks c ON c.arm = v.arm AND c.visitor = v.visitor
         LEFT JOIN sales s ON s.arm = v.arm AND s.visitor = v.visitor
         GROUP BY v.arm ORDER BY v.arm",
        from = experiment.chars().count() + 2,
    );
    let rows = session.query(&sql).await?;
    let (arms, visitors, slates) = (texts(&rows, "arm")?, integers(&rows, "visitors")?, integers(&rows, "slates")?);
    let moments = |sum: &str, squares: &str| -> Result<Vec<Moments>, OfflineError> {
        let both = floats(&rows, sum)?.into_iter().zip(floats(&rows, squares)?);
        Ok(both.map(|(sum, sum_of_squares)| Moments { sum, sum_of_squares }).collect())
    };
    let (clicks, sales) = (moments("clicks", "clicks_squared")?, moments("sales", "sales_squared")?);
    let outcome = |(row, arm): (usize, Option<String>)| {
        Some(ArmOutcome {
            arm: arm?,
            visitors: visitors[row] as u64,
            slates: slates[row] as u64,
            clicks: clicks[row],
            sales_usd_minor: sales[row],
        })
    };
    Ok(arms.into_iter().enumerate().filter_map(outcome).collect())
}
