//! Numbers that follow from a checkout's vector and its time, said so that a model need not find them: what is new, where and when, how unusual the amount; nothing is learned here.
//!
//! A vector tells for how long a device was signed in with, whether the account was opened with it and how often it was
//! bought with; that the device is *new* follows from all three. Trees that have a few hundred frauds to learn from find
//! such a condition late, and the number of new things at once later still.

use dhow_events::{DAY_MICROS, HOUR_MICROS, Timestamp};

use crate::trust::MissingFeature;

/// The names of the numbers, in order.
pub const DERIVED_FEATURES: [&str; 9] = [
    "checkout_hour_of_day",
    "checkout_at_night",
    "checkout_away_from_home",
    "account_of_the_day",
    "device_is_new",
    "address_is_new",
    "card_is_new",
    "new_things",
    "checkout_quantity_to_usual",
];

/// What reasons call the numbers.
pub const DERIVED_WORDS: [&str; DERIVED_FEATURES.len()] = [
    "The hour of the day (UTC)",
    "Whether it is night (UTC)",
    "Whether the checkout comes from another region than the account was opened in",
    "Whether the account was opened within a day",
    "Whether an older account uses this device for the first time",
    "Whether an older account orders to an address that was added within a day",
    "Whether an older account pays with another card than before",
    "The number of new things (device, address, card) at once",
    "The quantity beside the buyer's usual one",
];

/// For each number the features that it follows from, besides the time.
const FOLLOW_FROM: [&[&str]; DERIVED_FEATURES.len()] = [
    &[],
    &[],
    &["buyer_region_registered_count_ever"],
    &["buyer_registered_time_since_first_ever"],
    &[
        "buyer_registered_time_since_first_ever",
        "buyer_device_registered_count_ever",
        "buyer_device_sign_ins_time_since_first_ever",
        "buyer_device_checkouts_count_ever",
    ],
    &[
        "buyer_registered_time_since_first_ever",
        "buyer_address_added_time_since_first_ever",
        "buyer_address_checkouts_count_ever",
    ],
    &[
        "buyer_registered_time_since_first_ever",
        "checkout_by_card",
        "buyer_checkouts_count_ever",
        "buyer_card_checkouts_count_ever",
    ],
    &[
        "buyer_registered_time_since_first_ever",
        "buyer_device_registered_count_ever",
        "buyer_device_sign_ins_time_since_first_ever",
        "buyer_device_checkouts_count_ever",
        "buyer_address_added_time_since_first_ever",
        "buyer_address_checkouts_count_ever",
        "checkout_by_card",
        "buyer_checkouts_count_ever",
        "buyer_card_checkouts_count_ever",
    ],
    &["buyer_checkouts_count_ever", "buyer_checkouts_quantity_mean_ever", "checkout_submitted_quantity"],
];

/// An account, a device or an address is new for so long.
const NEW_FOR_SECONDS: f64 = 86_400.0;
/// The hours (UTC) from which and until which it is night.
const NIGHT_HOURS: (f64, f64) = (21.0, 7.0);

/// The features that the numbers are derived from.
const SOURCES: [&str; 12] = [
    "buyer_registered_time_since_first_ever",
    "buyer_region_registered_count_ever",
    "buyer_checkouts_count_ever",
    "buyer_checkouts_quantity_mean_ever",
    "buyer_device_registered_count_ever",
    "buyer_device_sign_ins_time_since_first_ever",
    "buyer_device_checkouts_count_ever",
    "buyer_address_added_time_since_first_ever",
    "buyer_address_checkouts_count_ever",
    "buyer_card_checkouts_count_ever",
    "checkout_submitted_quantity",
    "checkout_by_card",
];

/// Where the sources stand in a vector of the marketplace's features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derived {
    places: [usize; SOURCES.len()],
}

impl Derived {
    /// For vectors of these features.
    ///
    /// # Errors
    /// A feature that is needed is not among them.
    pub fn of(names: &[String]) -> Result<Self, MissingFeature> {
        let mut places = [0; SOURCES.len()];
        for (place, source) in places.iter_mut().zip(SOURCES) {
            let found = names.iter().position(|name| name == source);
            *place = found.ok_or(MissingFeature { name: source, given: names.len() })?;
        }
        Ok(Self { places })
    }

    /// Number `index` of [`DERIVED_FEATURES`]: the features that it follows from, besides the time.
    pub const fn follows_from(index: usize) -> &'static [&'static str] {
        FOLLOW_FROM[index]
    }

    /// The numbers of a checkout at `at`, in the order of [`DERIVED_FEATURES`]; `vector` is as long as the names were.
    pub fn values(&self, vector: &[f64], at: Timestamp) -> [f64; DERIVED_FEATURES.len()] {
        let [
            account_age_s,
            registered_here,
            checkouts,
            mean_quantity,
            registered_device,
            device_age_s,
            device_checkouts,
            address_age_s,
            address_checkouts,
            card_checkouts,
            quantity,
            by_card,
        ] = self.places.map(|place| vector[place]);
        let hour = at.micros().rem_euclid(DAY_MICROS) as f64 / HOUR_MICROS as f64;
        let night = hour >= NIGHT_HOURS.0 || hour < NIGHT_HOURS.1;
        let young = account_age_s < NEW_FOR_SECONDS;
        let device_known = seen(registered_device) || seen(device_checkouts) || device_age_s > NEW_FOR_SECONDS;
        let address_new = address_age_s < NEW_FOR_SECONDS && !seen(address_checkouts);
        // The first card of a buyer is not a new one: with what it would be compared is unknown.
        let card_new = seen(by_card) && seen(checkouts) && !seen(card_checkouts);
        let new = [!device_known, address_new, card_new].map(|new| f64::from(u8::from(new && !young)));
        // The checkout itself counts as one of the usual ones, so that a first one is as usual.
        let (own, own_count) = if seen(checkouts) { (checkouts * mean_quantity, checkouts) } else { (0.0, 0.0) };
        let usual = (own + quantity) / (own_count + 1.0);
        [
            hour,
            f64::from(u8::from(night)),
            f64::from(u8::from(!seen(registered_here))),
            f64::from(u8::from(young)),
            new[0],
            new[1],
            new[2],
            new.iter().sum(),
            quantity / usual,
        ]
    }
}

/// Whether it happened at all; what is missing did not.
fn seen(count: f64) -> bool {
    count > 0.0
}
