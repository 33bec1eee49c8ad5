//! How far a buyer or a seller can be trusted, 0 to 100, in parts that sum to the score, with badges and flags; nothing is learned here.
//!
//! What ended well and what went wrong is weighed as in a Bayesian mean: with `g` good outcomes and problems that outweigh
//! `b` of them, the history is worth `100 × (g + k/2) / (g + k + b)`, where `k` = [`NEUTRAL_OUTCOMES`] makes accounts
//! with little history stay near [`NEUTRAL_SCORE`]. What is the case now (a burst of orders, a ring) takes away a share of
//! that. Every weight stands in this file; the score never rises with a problem and never falls with a good outcome.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The score of an account of which nothing is known.
pub const NEUTRAL_SCORE: f64 = 50.0;
/// So many outcomes count as much as not knowing.
pub const NEUTRAL_OUTCOMES: f64 = 10.0;
/// Below so many orders an account has the badge `new`.
pub const NEW_BELOW_ORDERS: f64 = 3.0;
/// From this ring score on an account counts as a member of a ring.
pub const RING_MEMBER_SCORE: f64 = 0.6;

/// A year of age is worth so many good outcomes, up to the age below.
const OUTCOMES_PER_YEAR: f64 = 2.0;
const MOST_AGE_DAYS: f64 = 730.0;
const YEAR_DAYS: f64 = 365.0;
/// Good outcomes, without fraud or dispute, that make an account established.
const ESTABLISHED_OUTCOMES: f64 = 20.0;
/// Reviews and deliveries from which their means tell something, and the means that earn a badge.
const TELLING_COUNT: f64 = 20.0;
const TOP_RATING: f64 = 4.5;
const ON_TIME_LATE_SHARE: f64 = 0.02;
/// The worst and the best rating.
const RATINGS: (f64, f64) = (1.0, 5.0);
/// Shares are judged as if so many orders with the usual share came before.
const SHARE_ORDERS: f64 = 10.0;
const USUAL_RETURN_SHARE: f64 = 0.05;
const FREQUENT_RETURN_SHARE: f64 = 0.3;
const USUAL_LATE_SHARE: f64 = 0.05;
const FREQUENT_LATE_SHARE: f64 = 0.25;
const LOW_RATING: f64 = 3.0;
const MANY_DECLINED: f64 = 3.0;
const SECONDS_PER_DAY: f64 = 86_400.0;
/// Checkouts of a day from which they count as a burst, and from which they weigh in full.
const BURST_CHECKOUTS: (f64, f64) = (4.0, 14.0);

/// What a part of a score is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustFactor {
    /// Orders that ended well.
    GoodOutcomes,
    /// How long the account has existed.
    AccountAge,
    /// Orders known as fraud.
    KnownFrauds,
    /// Orders that were disputed.
    Disputes,
    /// Orders that came back.
    Returns,
    /// Payments that were declined lately.
    DeclinedPayments,
    /// Parcels that came after the promise.
    LateDeliveries,
    /// Stars that reviews withheld.
    PoorReviews,
    /// Changes of the account that is paid on.
    PayoutChanges,
    /// Many checkouts in a day.
    OrderBurst,
    /// The accounts that it shares cards, devices or addresses with look like a ring.
    Ring,
}

/// What an account has earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Badge {
    /// Too few orders to tell.
    New,
    /// Twenty good outcomes and more, no fraud and no dispute.
    Established,
    /// A year old or older.
    LongStanding,
    /// A mean rating of 4.5 and more over twenty reviews and more.
    TopRated,
    /// At most 2 % of twenty deliveries and more were late.
    OnTime,
}

/// What a person should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskFlag {
    /// An order is known as fraud.
    KnownFraud,
    /// The ring score is [`RING_MEMBER_SCORE`] and more.
    RingMember,
    /// More orders came back than usual.
    FrequentReturns,
    /// Three and more payments were declined lately.
    ManyDeclined,
    /// Many checkouts in a day.
    OrderBurst,
    /// More deliveries were late than usual.
    LateDeliveries,
    /// A mean rating below 3.
    LowRating,
    /// The account that is paid on changed lately.
    NewPayoutAccount,
}

impl TrustFactor {
    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::GoodOutcomes => "orders that ended well",
            Self::AccountAge => "the age of the account",
            Self::KnownFrauds => "orders known as fraud",
            Self::Disputes => "disputed orders",
            Self::Returns => "orders that came back",
            Self::DeclinedPayments => "payments declined lately",
            Self::LateDeliveries => "parcels that came after the promise",
            Self::PoorReviews => "stars that reviews withheld",
            Self::PayoutChanges => "changes of the account that is paid on",
            Self::OrderBurst => "many checkouts in a day",
            Self::Ring => "what it shares with other accounts looks like a ring",
        }
    }
}

impl Badge {
    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::New => "too few orders to tell",
            Self::Established => "twenty good outcomes and more, no fraud and no dispute",
            Self::LongStanding => "a year old or older",
            Self::TopRated => "a mean rating of 4.5 and more over twenty reviews and more",
            Self::OnTime => "at most 2 % of twenty deliveries and more were late",
        }
    }
}

impl RiskFlag {
    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::KnownFraud => "an order is known as fraud",
            Self::RingMember => "it shares so much with other accounts that they look like a ring",
            Self::FrequentReturns => "more orders came back than usual",
            Self::ManyDeclined => "three and more payments were declined in a week",
            Self::OrderBurst => "many checkouts in a day",
            Self::LateDeliveries => "more deliveries were late than usual",
            Self::LowRating => "a mean rating below 3",
            Self::NewPayoutAccount => "the account that is paid on changed in the last month",
        }
    }
}

/// One step from [`NEUTRAL_SCORE`] to the score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrustPart {
    /// What it is about.
    pub factor: TrustFactor,
    /// What it adds; negative where it takes away.
    pub points: f64,
}

/// How far an account can be trusted, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustScore {
    /// 0 to 100; [`NEUTRAL_SCORE`] where nothing is known.
    pub score: f64,
    /// The steps to it, in a fixed order; those of 0 points are left out. [`NEUTRAL_SCORE`] and they sum to the score.
    pub parts: Vec<TrustPart>,
    /// What was earned.
    pub badges: Vec<Badge>,
    /// What should be looked at.
    pub flags: Vec<RiskFlag>,
}

/// A feature that is needed is not among those that were given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("feature `{name}` is not among the {given} given; the marketplace's features are needed")]
pub struct MissingFeature {
    /// Its name.
    pub name: &'static str,
    /// How many features were given.
    pub given: usize,
}

/// What is known of a buyer. Counts are at least 0; a negative or missing (NaN) number counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BuyerEvidence {
    /// Orders placed.
    pub orders: f64,
    /// Orders that came back; of one that came back in part, that part.
    pub returned_orders: f64,
    /// Orders known as fraud, by chargeback or review.
    pub known_frauds: f64,
    /// Disputed orders.
    pub disputes: f64,
    /// Payments declined in the last week.
    pub declined_payments: f64,
    /// Checkouts in the last day.
    pub checkouts_1d: f64,
    /// The account's age in days.
    pub account_age_days: f64,
    /// How much the accounts around it look like a ring, 0 to 1.
    pub ring_score: f64,
}

/// What is known of a seller. Counts are at least 0; a negative or missing (NaN) number counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct SellerEvidence {
    /// Orders received.
    pub orders: f64,
    /// Orders that came back.
    pub returned_orders: f64,
    /// Orders known as fraud of which the seller is part.
    pub known_frauds: f64,
    /// Disputed orders.
    pub disputes: f64,
    /// Parcels delivered.
    pub deliveries: f64,
    /// Of them, those that came after the promise.
    pub late_deliveries: f64,
    /// Reviews.
    pub reviews: f64,
    /// Their mean rating, 1 to 5; not used where there are no reviews.
    pub mean_rating: f64,
    /// Changes of the account that is paid on, in the last month.
    pub payout_changes: f64,
    /// The account's age in days.
    pub account_age_days: f64,
    /// How much the accounts around it look like a ring, 0 to 1.
    pub ring_score: f64,
}

impl BuyerEvidence {
    /// The features that [`BuyerEvidence::from_features`] needs, of views keyed by `buyer`.
    pub const FEATURES: [&str; 7] = [
        "buyer_orders_count_ever",
        "buyer_orders_total_usd_minor_sum_ever",
        "buyer_returns_amount_usd_minor_sum_ever",
        "buyer_frauds_count_180d",
        "buyer_payments_declined_count_7d",
        "buyer_checkouts_count_1d",
        "buyer_registered_time_since_first_ever",
    ];

    /// Reads a checkout's vector of the marketplace's features. Without `link_ring_score` among them, no ring is known.
    ///
    /// # Errors
    /// A feature is not among `names`.
    pub fn from_features(names: &[String], values: &[f64]) -> Result<Self, MissingFeature> {
        let of = |name| feature(names, values, name);
        let ordered_usd_minor = of("buyer_orders_total_usd_minor_sum_ever")?;
        let returned_usd_minor = of("buyer_returns_amount_usd_minor_sum_ever")?;
        let orders = of("buyer_orders_count_ever")?;
        let returned_share = if ordered_usd_minor > 0.0 { returned_usd_minor / ordered_usd_minor } else { 0.0 };
        Ok(Self {
            orders,
            returned_orders: returned_share.min(1.0) * orders,
            known_frauds: of("buyer_frauds_count_180d")?,
            disputes: 0.0,
            declined_payments: of("buyer_payments_declined_count_7d")?,
            checkouts_1d: of("buyer_checkouts_count_1d")?,
            account_age_days: of("buyer_registered_time_since_first_ever")? / SECONDS_PER_DAY,
            ring_score: feature(names, values, "link_ring_score").unwrap_or(0.0),
        })
    }

    /// The buyer's score.
    pub fn trust(&self) -> TrustScore {
        let known = Self {
            orders: count(self.orders),
            returned_orders: count(self.returned_orders),
            known_frauds: count(self.known_frauds),
            disputes: count(self.disputes),
            declined_payments: count(self.declined_payments),
            checkouts_1d: count(self.checkouts_1d),
            account_age_days: count(self.account_age_days),
            ring_score: count(self.ring_score).min(1.0),
        };
        let good = (known.orders - known.returned_orders - known.known_frauds - known.disputes).max(0.0);
        let (score, parts) = weigh(
            good,
            known.account_age_days,
            &[
                (TrustFactor::Returns, 0.5 * known.returned_orders),
                (TrustFactor::DeclinedPayments, known.declined_payments),
                (TrustFactor::Disputes, 10.0 * known.disputes),
                (TrustFactor::KnownFrauds, 40.0 * known.known_frauds),
            ],
            &[
                (TrustFactor::OrderBurst, 0.4 * ramp(known.checkouts_1d, BURST_CHECKOUTS)),
                (TrustFactor::Ring, 0.7 * known.ring_score),
            ],
        );
        let unharmed = known.known_frauds == 0.0 && known.disputes == 0.0;
        let return_share = shrunk(known.returned_orders, known.orders, USUAL_RETURN_SHARE);
        TrustScore {
            score,
            parts,
            badges: held([
                (Badge::New, known.orders < NEW_BELOW_ORDERS),
                (Badge::Established, good >= ESTABLISHED_OUTCOMES && unharmed),
                (Badge::LongStanding, known.account_age_days >= YEAR_DAYS),
            ]),
            flags: held([
                (RiskFlag::KnownFraud, known.known_frauds > 0.0),
                (RiskFlag::RingMember, known.ring_score >= RING_MEMBER_SCORE),
                (RiskFlag::FrequentReturns, return_share >= FREQUENT_RETURN_SHARE),
                (RiskFlag::ManyDeclined, known.declined_payments >= MANY_DECLINED),
                (RiskFlag::OrderBurst, known.checkouts_1d > BURST_CHECKOUTS.0),
            ]),
        }
    }
}

impl SellerEvidence {
    /// The features that [`SellerEvidence::from_features`] needs, of views keyed by `seller`.
    pub const FEATURES: [&str; 7] = [
        "seller_orders_count_30d",
        "seller_returns_count_30d",
        "seller_deliveries_count_30d",
        "seller_deliveries_late_mean_30d",
        "seller_reviews_count_90d",
        "seller_reviews_rating_mean_90d",
        "seller_payout_changes_count_30d",
    ];

    /// Reads the seller's features of the marketplace, of the last month or quarter. Frauds, disputes, age and ring are not
    /// among them and stay 0, to be set by who knows them.
    ///
    /// # Errors
    /// A feature is not among `names`.
    pub fn from_features(names: &[String], values: &[f64]) -> Result<Self, MissingFeature> {
        let of = |name| feature(names, values, name);
        let deliveries = of("seller_deliveries_count_30d")?;
        Ok(Self {
            orders: of("seller_orders_count_30d")?,
            returned_orders: of("seller_returns_count_30d")?,
            deliveries,
            late_deliveries: deliveries * count(of("seller_deliveries_late_mean_30d")?),
            reviews: of("seller_reviews_count_90d")?,
            mean_rating: of("seller_reviews_rating_mean_90d")?,
            payout_changes: of("seller_payout_changes_count_30d")?,
            ..Self::default()
        })
    }

    /// The seller's score.
    pub fn trust(&self) -> TrustScore {
        let (orders, returned) = (count(self.orders), count(self.returned_orders));
        let (frauds, disputes) = (count(self.known_frauds), count(self.disputes));
        let (late, payout_changes) = (count(self.late_deliveries), count(self.payout_changes));
        let (age_days, ring_score) = (count(self.account_age_days), count(self.ring_score).min(1.0));
        let reviews = count(self.reviews);
        let mean_rating = if reviews > 0.0 { self.mean_rating.clamp(RATINGS.0, RATINGS.1) } else { RATINGS.1 };
        let withheld = reviews * (RATINGS.1 - mean_rating) / (RATINGS.1 - RATINGS.0);
        let good = (orders - returned - frauds - disputes).max(0.0);
        let (score, parts) = weigh(
            good,
            age_days,
            &[
                (TrustFactor::LateDeliveries, 0.5 * late),
                (TrustFactor::PoorReviews, 1.5 * withheld),
                (TrustFactor::Returns, returned),
                (TrustFactor::Disputes, 10.0 * disputes),
                (TrustFactor::KnownFrauds, 20.0 * frauds),
            ],
            &[
                (TrustFactor::PayoutChanges, 0.4 * ramp(payout_changes, (0.0, 3.0))),
                (TrustFactor::Ring, 0.7 * ring_score),
            ],
        );
        let deliveries = count(self.deliveries).max(late);
        TrustScore {
            score,
            parts,
            badges: held([
                (Badge::New, orders < NEW_BELOW_ORDERS),
                (Badge::Established, good >= ESTABLISHED_OUTCOMES && frauds == 0.0 && disputes == 0.0),
                (Badge::LongStanding, age_days >= YEAR_DAYS),
                (Badge::TopRated, reviews >= TELLING_COUNT && mean_rating >= TOP_RATING),
                (Badge::OnTime, deliveries >= TELLING_COUNT && late <= ON_TIME_LATE_SHARE * deliveries),
            ]),
            flags: held([
                (RiskFlag::KnownFraud, frauds > 0.0),
                (RiskFlag::RingMember, ring_score >= RING_MEMBER_SCORE),
                (RiskFlag::FrequentReturns, shrunk(returned, orders, USUAL_RETURN_SHARE) >= FREQUENT_RETURN_SHARE),
                (RiskFlag::LateDeliveries, shrunk(late, deliveries, USUAL_LATE_SHARE) >= FREQUENT_LATE_SHARE),
                (RiskFlag::LowRating, reviews >= NEW_BELOW_ORDERS && mean_rating < LOW_RATING),
                (RiskFlag::NewPayoutAccount, payout_changes > 0.0),
            ]),
        }
    }
}

/// The score and its steps: good outcomes, age, each problem by the outcomes that it outweighs, and the share of the rest that
/// each present circumstance takes.
fn weigh(
    good: f64,
    age_days: f64,
    problems: &[(TrustFactor, f64)],
    present: &[(TrustFactor, f64)],
) -> (f64, Vec<TrustPart>) {
    let history = |good: f64, bad: f64| 100.0 * (good + NEUTRAL_OUTCOMES / 2.0) / (good + NEUTRAL_OUTCOMES + bad);
    let aged = good + OUTCOMES_PER_YEAR * age_days.min(MOST_AGE_DAYS) / YEAR_DAYS;
    let mut parts = Vec::new();
    let mut score = NEUTRAL_SCORE;
    let mut step = |factor, reached: f64| {
        if reached != score {
            parts.push(TrustPart { factor, points: reached - score });
        }
        score = reached;
    };
    step(TrustFactor::GoodOutcomes, history(good, 0.0));
    step(TrustFactor::AccountAge, history(aged, 0.0));
    let mut bad = 0.0;
    for (factor, outweighed) in problems {
        bad += outweighed;
        step(*factor, history(aged, bad));
    }
    let mut left = history(aged, bad);
    for (factor, taken_share) in present {
        left *= 1.0 - taken_share;
        step(*factor, left);
    }
    (left, parts)
}

/// The share of `part` in `whole`, drawn to the usual one where there is little of it.
fn shrunk(part: f64, whole: f64, usual: f64) -> f64 {
    (part + SHARE_ORDERS * usual) / (whole.max(part) + SHARE_ORDERS)
}

/// 0 up to the first bound, 1 from the second on, straight between.
fn ramp(value: f64, (low, high): (f64, f64)) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

/// A number that says how many, 0 where it is missing or negative.
fn count(value: f64) -> f64 {
    if value > 0.0 { value.min(f64::from(u32::MAX)) } else { 0.0 }
}

fn held<T, const N: usize>(all: [(T, bool); N]) -> Vec<T> {
    all.into_iter().filter(|(_, holds)| *holds).map(|(it, _)| it).collect()
}

fn feature(names: &[String], values: &[f64], name: &'static str) -> Result<f64, MissingFeature> {
    let place = names.iter().position(|known| known == name);
    place.and_then(|place| values.get(place)).copied().ok_or(MissingFeature { name, given: names.len() })
}
