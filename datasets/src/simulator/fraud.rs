//! How honest people and fraudsters appear at a checkout, and the probability of fraud that follows; it emits no events.
//!
//! Every checkout belongs to an [`Archetype`], honest or not, and draws its [`Appearance`] from it. Appearances overlap
//! on purpose: honest people travel, buy new phones, forget passwords, move house, share devices and make big gifts, and
//! a part of every kind of fraud looks ordinary. Given the archetype the traits are independent, so the probability of
//! fraud given an appearance is a plain application of Bayes' rule: [`fraud_probability`].

use serde::{Deserialize, Serialize};

use super::people::{RETURN_RATES, RETURNER_MIX, SHARED_SHARE};
use super::random::Random;

/// Whether a checkout is honest, and if not, of which kind the fraud is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutKind {
    /// The account's owner buys.
    Honest,
    /// Somebody pays with a card that was stolen, often from a fresh account.
    StolenCard,
    /// Somebody took over an account with its saved card.
    AccountTakeover,
    /// Many small payments that find out which stolen cards work.
    CardTesting,
    /// Accounts that share cards, devices and addresses buy from sellers that share a payout account.
    Ring,
    /// The buyer orders in order to use and return, or to claim that nothing came.
    ReturnAbuse,
}

impl CheckoutKind {
    /// The kinds of fraud, with each kind's share of the fraudulent checkouts.
    pub const FRAUD_SHARES: [(Self, f64); 5] = [
        (Self::StolenCard, 0.32),
        (Self::AccountTakeover, 0.22),
        (Self::CardTesting, 0.22),
        (Self::Ring, 0.14),
        (Self::ReturnAbuse, 0.10),
    ];

    /// The kind as labels name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::StolenCard => "stolen_card",
            Self::AccountTakeover => "account_takeover",
            Self::CardTesting => "card_testing",
            Self::Ring => "ring",
            Self::ReturnAbuse => "return_abuse",
        }
    }

    /// Whether it is fraud of any kind.
    pub fn is_fraud(self) -> bool {
        self != Self::Honest
    }
}

/// A way of appearing: chances of each trait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Archetype {
    pub(crate) kind: CheckoutKind,
    /// Share among the archetypes of the same kind.
    share: f64,
    new_device: f64,
    /// The chance of a failed sign-in, and of each further one.
    sign_in_failure: f64,
    new_address: f64,
    abroad: f64,
    new_card: f64,
    night: f64,
    /// Mean and standard deviation of the spending beyond the buyer's usual, in standard deviations.
    spending: (f64, f64),
    /// The chance that another checkout follows at once, and that after it each further one does.
    pub(crate) repeat: (f64, f64),
    /// The chance that the account was opened on the same day; the honest ones' chance is the market's.
    young: f64,
    /// The chance that the device is used by other accounts too; the honest ones' chance is the population's.
    shared: f64,
}

/// Honest people repeat a checkout only after a declined payment: what `checkout` and `day` make of their chances.
const HONEST_REPEAT: (f64, f64) = (0.012, 0.27);

const USUAL: Archetype = Archetype {
    kind: CheckoutKind::Honest,
    share: 0.0,
    new_device: 0.002,
    sign_in_failure: 0.03,
    new_address: 0.006,
    abroad: 0.004,
    new_card: 0.004,
    night: 0.03,
    spending: (0.0, 1.0),
    repeat: HONEST_REPEAT,
    young: 0.0,
    shared: SHARED_SHARE,
};

const STOLEN: Archetype = Archetype { kind: CheckoutKind::StolenCard, repeat: (0.2, 0.2), shared: 0.05, ..USUAL };
const TAKEOVER: Archetype = Archetype { kind: CheckoutKind::AccountTakeover, repeat: (0.2, 0.2), ..USUAL };

/// Usual; new phone; traveller; gift; moved house; new card; forgot the password; big purchase; fresh start; then fraud:
/// stolen cards used at night, from abroad and carefully, account takeover likewise, card testing, rings (bold and
/// careful), return abuse.
///
/// What is odd about honest people comes in pairs that have one cause (abroad and at night, new phone and new card); what
/// is odd about fraud comes in other pairs. So a sum of oddities misleads, and what goes with what has to be learned.
pub(crate) const ARCHETYPES: [Archetype; 18] = [
    Archetype { share: 0.7998, ..USUAL },
    Archetype { share: 0.05, new_device: 1.0, sign_in_failure: 0.3, new_address: 0.002, new_card: 0.2, ..USUAL },
    Archetype { share: 0.035, new_device: 0.02, new_address: 0.4, abroad: 1.0, new_card: 0.05, night: 0.6, ..USUAL },
    Archetype { share: 0.04, new_address: 1.0, spending: (0.6, 1.0), ..USUAL },
    Archetype { share: 0.02, new_address: 1.0, new_card: 0.3, ..USUAL },
    Archetype { share: 0.025, new_card: 1.0, repeat: (0.04, HONEST_REPEAT.1), ..USUAL },
    Archetype { share: 0.02, new_device: 0.02, sign_in_failure: 0.55, ..USUAL },
    Archetype { share: 0.010, spending: (2.0, 0.6), night: 0.2, ..USUAL },
    Archetype {
        share: 0.0002,
        new_device: 0.8,
        sign_in_failure: 0.4,
        new_address: 0.8,
        abroad: 0.3,
        new_card: 0.5,
        night: 0.15,
        spending: (0.5, 1.2),
        ..USUAL
    },
    Archetype {
        share: 0.46,
        new_device: 0.9,
        new_address: 0.85,
        abroad: 0.02,
        new_card: 0.9,
        night: 0.85,
        spending: (2.1, 0.7),
        young: 0.3,
        ..STOLEN
    },
    Archetype {
        share: 0.27,
        new_device: 0.9,
        new_address: 0.3,
        abroad: 0.95,
        new_card: 0.95,
        night: 0.15,
        spending: (1.9, 0.8),
        young: 0.25,
        ..STOLEN
    },
    Archetype {
        share: 0.27,
        new_device: 0.85,
        new_address: 0.85,
        abroad: 0.01,
        new_card: 0.6,
        night: 0.05,
        spending: (0.7, 0.9),
        young: 0.1,
        ..STOLEN
    },
    Archetype {
        share: 0.46,
        new_device: 0.95,
        sign_in_failure: 0.8,
        new_address: 0.9,
        abroad: 0.02,
        night: 0.85,
        spending: (2.1, 0.7),
        ..TAKEOVER
    },
    Archetype {
        share: 0.27,
        new_device: 0.95,
        sign_in_failure: 0.7,
        new_address: 0.3,
        abroad: 0.95,
        night: 0.15,
        spending: (1.9, 0.8),
        ..TAKEOVER
    },
    Archetype {
        share: 0.27,
        new_device: 0.9,
        sign_in_failure: 0.1,
        new_address: 0.9,
        abroad: 0.01,
        night: 0.05,
        spending: (0.7, 0.9),
        ..TAKEOVER
    },
    Archetype {
        kind: CheckoutKind::CardTesting,
        share: 1.0,
        new_device: 0.8,
        sign_in_failure: 0.05,
        new_address: 0.2,
        abroad: 0.4,
        new_card: 0.97,
        night: 0.5,
        spending: (-2.6, 0.5),
        repeat: (0.88, 0.88),
        young: 0.6,
        shared: 0.1,
    },
    Archetype {
        kind: CheckoutKind::Ring,
        share: 1.0,
        new_device: 0.05,
        new_address: 0.1,
        new_card: 0.1,
        night: 0.2,
        spending: (0.8, 0.7),
        repeat: (0.93, 0.93),
        young: 0.25,
        shared: 1.0,
        ..USUAL
    },
    Archetype { kind: CheckoutKind::ReturnAbuse, share: 1.0, spending: (0.8, 0.8), ..USUAL },
];

const MOST_FAILURES: u8 = 8;

/// How a checkout looks to one who sees everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Appearance {
    pub(crate) new_device: bool,
    pub(crate) sign_in_failures: u8,
    pub(crate) new_address: bool,
    pub(crate) abroad: bool,
    pub(crate) new_card: bool,
    pub(crate) night: bool,
    pub(crate) spending: f64,
    pub(crate) young: bool,
    pub(crate) shared: bool,
    /// How many checkouts of the same burst, or of the same ring, came before.
    pub(crate) repeats: u8,
}

/// What is known of the market as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prior {
    pub(crate) prevalence: f64,
    /// The share of honest checkouts from accounts of the same day.
    pub(crate) young_honest: f64,
}

/// An archetype of `kind`, drawn by share.
pub(crate) fn draw_archetype(kind: CheckoutKind, random: &mut Random) -> &'static Archetype {
    let mut left = random.unit();
    let mut last = &ARCHETYPES[0];
    for archetype in ARCHETYPES.iter().filter(|archetype| archetype.kind == kind) {
        last = archetype;
        left -= archetype.share;
        if left < 0.0 {
            break;
        }
    }
    last
}

impl Appearance {
    /// Draws the traits; whether the account is young and the device shared is known to the caller for honest people.
    pub(crate) fn draw(archetype: &Archetype, random: &mut Random) -> Self {
        let young = random.chance(archetype.young);
        Self {
            new_device: random.chance(archetype.new_device),
            sign_in_failures: random.run_length(archetype.sign_in_failure, MOST_FAILURES),
            new_address: random.chance(archetype.new_address),
            abroad: random.chance(archetype.abroad),
            new_card: random.chance(archetype.new_card),
            night: random.chance(archetype.night),
            spending: archetype.spending.0 + archetype.spending.1 * random.normal(),
            young,
            shared: random.chance(archetype.shared),
            repeats: 0,
        }
    }

    /// How likely an archetype shows this. A young account has everything new, so newness tells nothing there.
    fn likelihood(&self, archetype: &Archetype, young: f64) -> f64 {
        let newness = if self.young {
            young
        } else {
            (1.0 - young)
                * either(self.new_device, archetype.new_device)
                * either(self.new_address, archetype.new_address)
                * either(self.new_card, archetype.new_card)
        };
        newness
            * run(self.sign_in_failures, (archetype.sign_in_failure, archetype.sign_in_failure))
            * run(self.repeats, archetype.repeat)
            * either(self.abroad, archetype.abroad)
            * either(self.night, archetype.night)
            * either(self.shared, archetype.shared)
            * density(self.spending, archetype.spending)
    }
}

fn either(present: bool, chance: f64) -> f64 {
    if present { chance } else { 1.0 - chance }
}

/// The chance that something happens `length` times in a row, given the chances of the first time and of each further.
fn run(length: u8, (first, more): (f64, f64)) -> f64 {
    match length {
        0 => 1.0 - first,
        _ => first * more.powi(i32::from(length) - 1) * (1.0 - more),
    }
}

fn density(value: f64, (mean, deviation): (f64, f64)) -> f64 {
    let z = (value - mean) / deviation;
    (-z * z / 2.0).exp() / deviation
}

/// The probability that a checkout with this appearance, by a buyer with this many orders of which so many came back, is
/// fraud: Bayes' rule over the archetypes that the simulator draws from.
pub(crate) fn fraud_probability(appearance: &Appearance, orders: u32, returned: u32, prior: Prior) -> f64 {
    let history = |rate: f64| rate.powi(returned as i32) * (1.0 - rate).powi(orders.saturating_sub(returned) as i32);
    let honest_history = RETURNER_MIX[0] * history(RETURN_RATES[0]) + RETURNER_MIX[1] * history(RETURN_RATES[1]);
    let (mut honest, mut fraud) = (0.0, 0.0);
    for archetype in &ARCHETYPES {
        if archetype.kind == CheckoutKind::Honest {
            let likelihood = appearance.likelihood(archetype, prior.young_honest);
            honest += (1.0 - prior.prevalence) * archetype.share * likelihood * honest_history;
            continue;
        }
        let abuse = archetype.kind == CheckoutKind::ReturnAbuse;
        let history = if abuse { history(RETURN_RATES[2]) } else { honest_history };
        let kind_share = CheckoutKind::FRAUD_SHARES
            .iter()
            .find(|(kind, _)| *kind == archetype.kind)
            .map_or(0.0, |(_, share)| *share);
        let likelihood = appearance.likelihood(archetype, archetype.young);
        fraud += prior.prevalence * kind_share * archetype.share * likelihood * history;
    }
    fraud / (fraud + honest).max(f64::MIN_POSITIVE)
}
